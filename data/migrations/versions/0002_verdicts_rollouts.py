"""Verdicts of the gate, and rollouts: events, bindings, outcomes."""

from alembic import op

from data.tables import rollout_bindings, rollout_events, rollout_outcomes, verdicts

revision = "0002"
down_revision = "0001"

TABLES = (verdicts, rollout_events, rollout_bindings, rollout_outcomes)


def upgrade() -> None:
    for table in TABLES:  # 0001 makes them too in a database that is new today
        table.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    for table in reversed(TABLES):
        table.drop(op.get_bind(), checkfirst=True)
