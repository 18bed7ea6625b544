"""New databases for tests: copies of one that is migrated once, since migrating takes as long as most tests."""

import tempfile
from functools import cache
from pathlib import Path

from data.database import Database


def new_database(path: Path) -> Database:
    """A SQLite database with today's schema at `path`, opened; the one that is there already."""
    put_schema(path)
    return Database(f"sqlite:///{path}")


def put_schema(path: Path) -> None:
    """Write a database with today's schema to `path`, unless there is one: migrating it then costs one query."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_migrated())


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        database = Database(f"sqlite:///{path}")
        database.migrate()
        database.close()
        return path.read_bytes()
