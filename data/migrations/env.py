"""Alembic's entry point; `data.database.Database.migrate` passes the URL.

All revisions are one transaction: a migration that is killed leaves the schema that was there. Foreign keys are off, for a table
that SQLite must build anew is dropped in between.
"""

from alembic import context
from sqlalchemy import create_engine, event

from data.tables import metadata

engine = create_engine(context.config.attributes["url"])
if engine.dialect.name == "sqlite":  # its driver would commit each statement on its own

    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection, _record) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
