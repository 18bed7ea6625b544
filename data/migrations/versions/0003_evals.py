"""Runs of suites, their rows, and the cache of answers and scores."""

from alembic import op

from data.tables import eval_cache, eval_rows, eval_runs

revision = "0003"
down_revision = "0002"

TABLES = (eval_runs, eval_rows, eval_cache)


def upgrade() -> None:
    for table in TABLES:  # 0001 makes them too in a database that is new today
        table.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    for table in reversed(TABLES):
        table.drop(op.get_bind(), checkfirst=True)
