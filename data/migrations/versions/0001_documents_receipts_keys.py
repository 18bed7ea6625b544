"""Documents, chunks, vectors, receipts, feedback, keys and conversations."""

from alembic import op

from data.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
