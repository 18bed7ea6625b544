"""Opens the database (SQLite in WAL mode by default, Postgres by URL) and brings its schema up to date.

One `Database` per process. Reads run concurrently; writes go through `write()`, one at a time, each with its own generation.
"""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select, text, update
from sqlalchemy.exc import OperationalError

from data.errors import InfrastructureError
from data.tables import generation

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_S = 30
MIGRATION = threading.Lock()
"""Alembic's context is one per process."""
MIGRATION_KEY = 0xA55A
"""Any number that no other program takes an advisory lock on."""


@dataclass(frozen=True)
class Write:
    """An open write transaction and the generation that it stamps on what it changes."""

    connection: Connection
    generation: int


class Database:
    """`url` is any SQLAlchemy URL; `sqlite:////abs/path.db` or `postgresql+psycopg://user@host/name`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        # lock first, then read the newest state; an acknowledged document survives a power cut
        self._writer = self.engine.execution_options(begin="BEGIN IMMEDIATE", synchronous="full")
        self._unflushed = self.engine.execution_options(begin="BEGIN IMMEDIATE", synchronous="normal")
        self._reader = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._writing = threading.Lock()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent state until the block ends."""
        with self._translated(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Write]:
        """One transaction: all of it or nothing. Takes the next generation, so writers queue behind one another."""
        with self._translated(), self._writing, self._writer.begin() as connection:
            connection.execute(update(generation).values(value=generation.c.value + 1))
            yield Write(connection, connection.execute(select(generation.c.value)).scalar_one())

    @contextmanager
    def append(self, *, flush: bool = True) -> Iterator[Connection]:
        """One transaction for rows that no index follows (receipts, feedback, keys): takes no generation.

        Without `flush` it does not wait for the disk: SQLite may lose it to a power cut, never to a killed process.
        """
        writer = self._writer if flush else self._unflushed
        with self._translated(), self._writing, writer.begin() as connection:
            yield connection

    def current_generation(self) -> int:
        with self.read() as connection:
            return self.generation_in(connection)

    def generation_in(self, connection: Connection) -> int:
        """The generation that `connection`'s transaction sees."""
        return connection.execute(select(generation.c.value)).scalar_one()

    def migrate(self) -> None:
        """Create or upgrade the schema. Costs one query when it is already current; processes that come at once take turns."""
        head = max(p.name.split("_")[0] for p in (MIGRATIONS / "versions").glob("[0-9]*_*.py"))
        if self._is_at(head):
            return
        with self._translated(), self._migrating():
            if self._is_at(head):
                return
            _upgrade(self.url)
            with self.engine.begin() as connection:
                if connection.execute(select(generation.c.value)).scalar_one_or_none() is None:
                    connection.execute(insert(generation).values(id=1, value=0))

    def _is_at(self, head: str) -> bool:
        with self._translated(), self.engine.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return False
            return connection.execute(text("select version_num from alembic_version")).scalar_one_or_none() == head

    @contextmanager
    def _migrating(self) -> Iterator[None]:
        """Held by one thread of one process at a time."""
        with MIGRATION:
            if not self.is_sqlite:
                with self.engine.connect() as connection:
                    connection.execute(text("select pg_advisory_lock(:key)"), {"key": MIGRATION_KEY})
                    connection.commit()
                    yield
                    connection.execute(text("select pg_advisory_unlock(:key)"), {"key": MIGRATION_KEY})
            elif (path := self.engine.url.database) and path != ":memory:":
                with open(f"{path}.migrating", "a") as file:
                    fcntl.flock(file, fcntl.LOCK_EX)
                    yield
            else:
                yield

    def compact(self) -> None:
        """Let no deleted row survive in the write-ahead log or on free pages."""
        with (
            self._writing,
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            if self.is_sqlite:
                connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
            else:
                for table in ("contents", "chunks", "vectors", "receipts"):
                    connection.exec_driver_sql(f"vacuum {table}")

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            raise InfrastructureError(
                f"The database at {self.engine.url.render_as_string(hide_password=True)} failed: {error.orig}.",
                next_step="Check that it is running, that the disk is not full, and that no other process locks it.",
            ) from error


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, pool_size=16, max_overflow=48)
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=16,
        max_overflow=256,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection, _record) -> None:  # pragmas are per connection
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        cursor.execute("pragma journal_mode = wal")
        cursor.execute("pragma synchronous = full")  # an acknowledged document survives a power cut
        cursor.execute("pragma foreign_keys = on")
        cursor.execute("pragma secure_delete = on")  # erased text leaves the file's free pages too
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if level := options.get("synchronous"):
            connection.exec_driver_sql(f"pragma synchronous = {level}")
        connection.exec_driver_sql(options.get("begin", "BEGIN"))

    return engine


def _upgrade(url: str) -> None:
    from alembic import command  # imported when there is something to migrate: start-up pays one query
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    command.upgrade(config, "head")
