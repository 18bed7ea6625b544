"""Verdicts of the gate, kept in the database. Judges nothing: the gate writes them, promotions read them."""

import secrets

from sqlalchemy import Connection, insert, select

from data.database import Database
from data.errors import InvalidInput
from data.records import Outcome, Verdict
from data.tables import verdicts


def new_verdict_id() -> str:
    return f"vdct_{secrets.token_hex(8)}"


def record_verdict(database: Database, verdict: Verdict) -> None:
    """Keep what the gate said. Raises: InvalidInput for a name or version that is empty or holds an '@'."""
    for field in ("name", "version"):
        value = getattr(verdict, field)
        if not value or "@" in value:
            raise InvalidInput(f"The {field} of a verdict is {value!r}; it may not be empty or hold '@'.", field=field)
    with database.append() as connection:
        connection.execute(
            insert(verdicts).values(**verdict.model_dump(mode="json") | {"created_at": verdict.created_at})
        )


def newest_verdict(connection: Connection, name: str, version: str) -> Verdict | None:
    row = connection.execute(
        select(verdicts)
        .where(verdicts.c.name == name, verdicts.c.version == version)
        .order_by(verdicts.c.seq.desc())
        .limit(1)
    ).one_or_none()
    return Verdict(**{k: v for k, v in row._mapping.items() if k != "seq"}) if row else None


def passing_verdict_id(connection: Connection, name: str, version: str, digest: str) -> str:
    """The id of the newest verdict, if it passed and judged these very files; else empty."""
    verdict = newest_verdict(connection, name, version)
    stands = verdict is not None and verdict.outcome is Outcome.PASS and verdict.digest == digest
    return verdict.id if stands else ""
