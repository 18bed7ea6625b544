"""Runs in numbers, what they asked, and all that the gate said: what the dashboard reads."""

from alembic import op
from sqlalchemy import inspect

from data.tables import eval_digests, eval_metrics, eval_runs, eval_samples, eval_values, gate_reports

revision = "0005"
down_revision = "0004"

TABLES = (eval_digests, eval_metrics, eval_values, eval_samples, gate_reports)
INDEXES = ("ix_eval_runs_newest", "ix_eval_runs_suite_newest")


def upgrade() -> None:
    for table in TABLES:  # 0001 makes them too in a database that is new today
        table.create(op.get_bind(), checkfirst=True)
    present = {index["name"] for index in inspect(op.get_bind()).get_indexes("eval_runs")}
    for index in eval_runs.indexes:
        if index.name in INDEXES and index.name not in present:
            index.create(op.get_bind())


def downgrade() -> None:
    for name in reversed(INDEXES):
        op.drop_index(name, "eval_runs")
    for table in reversed(TABLES):
        table.drop(op.get_bind(), checkfirst=True)
