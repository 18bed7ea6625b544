"""An index that holds all that sums of the request log by day need."""

from alembic import op
from sqlalchemy import inspect

from data.watch_tables import watch_requests

revision = "0008"
down_revision = "0007"
NAME = "ix_watch_requests_usage"


def upgrade() -> None:
    present = {index["name"] for index in inspect(op.get_bind()).get_indexes("watch_requests")}
    if NAME not in present:  # 0006 makes it in a database that is new today
        next(index for index in watch_requests.indexes if index.name == NAME).create(op.get_bind())


def downgrade() -> None:
    op.drop_index(NAME, "watch_requests")
