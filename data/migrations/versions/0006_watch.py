"""The request log, checks of drift, their values, alarms, silences and maps."""

from alembic import op

from data.watch_tables import (
    drift_alarms,
    drift_checks,
    drift_map_points,
    drift_silences,
    drift_values,
    watch_requests,
)

revision = "0006"
down_revision = "0005"

TABLES = (watch_requests, drift_checks, drift_values, drift_alarms, drift_silences, drift_map_points)


def upgrade() -> None:
    for table in TABLES:  # 0001 makes them too in a database that is new today
        table.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    for table in reversed(TABLES):
        table.drop(op.get_bind(), checkfirst=True)
