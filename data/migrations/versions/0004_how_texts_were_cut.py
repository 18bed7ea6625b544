"""Which settings cut a text, and which metadata came with a document."""

from alembic import op
from sqlalchemy import JSON, Column, String, inspect

revision = "0004"
down_revision = "0003"

COLUMNS = (
    ("contents", lambda: Column("chunking", String(16), nullable=False, server_default="")),
    ("documents", lambda: Column("given", JSON)),
)


def upgrade() -> None:
    for table, column in COLUMNS:  # 0001 makes them in a database that is new today
        present = {found["name"] for found in inspect(op.get_bind()).get_columns(table)}
        if (added := column()).name not in present:
            op.add_column(table, added)


def downgrade() -> None:
    for table, column in reversed(COLUMNS):
        op.drop_column(table, column().name)
