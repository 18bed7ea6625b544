"""What tabular models answered, and the labels that came later."""

from alembic import op

from data.prediction_tables import prediction_labels, predictions

revision = "0007"
down_revision = "0006"

TABLES = (predictions, prediction_labels)


def upgrade() -> None:
    for table in TABLES:  # 0001 makes them too where they are known by then
        table.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    for table in reversed(TABLES):
        table.drop(op.get_bind(), checkfirst=True)
