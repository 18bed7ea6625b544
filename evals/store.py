"""Runs, their rows and the cache of answers and scores, in the database. Knows no runner: it keeps what it is given."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Text, cast, delete, func, insert, or_, select, update

from data.database import Database
from data.errors import NotFound
from data.records import EvalRow, EvalRun
from data.tables import eval_cache, eval_rows, eval_runs
from evals.digest import RunDigest
from evals.digest_store import keep_digest

RESUMABLE_FOR = timedelta(days=1)
ERASED = "[erased]"


class EvalStore:
    """The runner's `RunStore` and `Cache` in one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- runs

    def begin(self, run: EvalRun, fingerprint: str) -> None:
        row = {
            "id": run.id,
            "suite": run.suite,
            "target": run.target,
            "status": run.status,
            "fingerprint": fingerprint,
            "created_at": run.created_at,
            "body": run.model_dump(mode="json"),
            "summary": {},
        }
        with self._database.append() as connection:
            connection.execute(insert(eval_runs), row)

    def resumable(self, fingerprint: str) -> EvalRun | None:
        """The newest run with this fingerprint that was cut short within the last day."""
        since = datetime.now(UTC) - RESUMABLE_FOR
        with self._database.read() as connection:
            body = connection.execute(
                select(eval_runs.c.body)
                .where(
                    eval_runs.c.fingerprint == fingerprint,
                    eval_runs.c.status == "running",
                    eval_runs.c.created_at >= since,
                )
                .order_by(eval_runs.c.created_at.desc())
                .limit(1)
            ).scalar_one_or_none()
        return EvalRun.model_validate(body) if body else None

    def append(self, row: EvalRow) -> None:
        """Keep a row, in place of an earlier one of the same sample and repeat."""
        key = {"run_id": row.run_id, "sample_id": row.sample_id, "repeat": row.repeat}
        same = [eval_rows.c[name] == value for name, value in key.items()]
        with self._database.append(flush=False) as connection:
            connection.execute(delete(eval_rows).where(*same))
            connection.execute(insert(eval_rows), key | {"body": row.model_dump(mode="json")})

    def finish(self, run: EvalRun, summary: Mapping[str, JsonValue], digest: RunDigest | None = None) -> None:
        """Keep how a run ended, and with `digest` what pages show of it."""
        values = {"status": run.status, "body": run.model_dump(mode="json"), "summary": dict(summary)}
        with self._database.append() as connection:
            connection.execute(update(eval_runs).where(eval_runs.c.id == run.id).values(**values))
            if digest is not None:
                keep_digest(connection, run, summary, digest)

    def rows(self, run_id: str) -> list[EvalRow]:
        """In the order in which they were kept."""
        with self._database.read() as connection:
            bodies = connection.execute(
                select(eval_rows.c.body).where(eval_rows.c.run_id == run_id).order_by(eval_rows.c.id)
            ).scalars()
            return [EvalRow.model_validate(body) for body in bodies]

    def run(self, ref: str) -> EvalRun:
        """A run by its id or the beginning of it, or the newest complete one of a suite by the suite's name. Raises: NotFound."""
        newest = select(eval_runs.c.body).order_by(eval_runs.c.created_at.desc()).limit(1)
        with self._database.read() as connection:
            for condition in (
                eval_runs.c.id == ref,
                eval_runs.c.id.startswith(ref, autoescape=True),
                (eval_runs.c.suite == ref) & (eval_runs.c.status == "complete"),
            ):
                if body := connection.execute(newest.where(condition)).scalar_one_or_none():
                    return EvalRun.model_validate(body)
        raise NotFound(f"There is no run {ref!r}.", next_step="See: assay eval list")

    def runs(self, suite: str = "", limit: int = 20) -> list[tuple[EvalRun, dict[str, JsonValue]]]:
        """The newest runs and what they cost, newest first."""
        asked = select(eval_runs.c.body, eval_runs.c.summary).order_by(eval_runs.c.created_at.desc()).limit(limit)
        with self._database.read() as connection:
            found = connection.execute(asked.where(eval_runs.c.suite == suite) if suite else asked).all()
        return [(EvalRun.model_validate(row.body), row.summary) for row in found]

    def summary(self, run_id: str) -> dict[str, JsonValue]:
        with self._database.read() as connection:
            return connection.execute(select(eval_runs.c.summary).where(eval_runs.c.id == run_id)).scalar_one()

    # -- cache

    def get(self, key: str) -> str | None:
        with self._database.read() as connection:
            return connection.execute(select(eval_cache.c.body).where(eval_cache.c.key == key)).scalar_one_or_none()

    def put(self, key: str, kind: str, body: str) -> None:
        row = {"key": key, "kind": kind, "body": body, "created_at": datetime.now(UTC)}
        with self._database.append(flush=False) as connection:
            connection.execute(delete(eval_cache).where(eval_cache.c.key == key))
            connection.execute(insert(eval_cache), row)

    def forget(self, document_id: str) -> int:
        """Drop what was cached of a document, and the words of rows that tell of it; scores stay. Returns how many rows."""
        with self._database.append() as connection:
            connection.execute(delete(eval_cache).where(_cached_of(document_id)))
            rows = connection.execute(select(eval_rows.c.id, eval_rows.c.body).where(_rows_of(document_id))).all()
            for kept in rows:
                body = _blanked(EvalRow.model_validate(kept.body)).model_dump(mode="json")
                connection.execute(update(eval_rows).where(eval_rows.c.id == kept.id).values(body=body))
        return len(rows)

    def n_mentions(self, document_id: str) -> int:
        """Rows and cached answers that name a document."""
        told = (select(func.count()).select_from(eval_rows).where(_rows_of(document_id)),)
        told += (select(func.count()).select_from(eval_cache).where(_names(eval_cache.c.body, document_id)),)
        with self._database.read() as connection:
            return sum(connection.execute(one).scalar_one() for one in told)


def _rows_of(document_id: str) -> ColumnElement[bool]:
    return _names(cast(eval_rows.c.body, Text), document_id)


def _cached_of(document_id: str) -> ColumnElement[bool]:
    """Scores name no document, though they may repeat its words: all of them go."""
    return or_(eval_cache.c.kind == "scores", _names(eval_cache.c.body, document_id))


def _names(column: ColumnElement[str], document_id: str) -> ColumnElement[bool]:
    return column.contains(document_id, autoescape=True)


def _blanked(row: EvalRow) -> EvalRow:
    seen = row.observation
    answer = seen.answer.model_copy(update={"text": ERASED, "sentences": ()}) if seen.answer else None
    return row.model_copy(
        update={
            "observation": seen.model_copy(update={"answer": answer, "hits": ()}),
            "scores": tuple(score.model_copy(update={"detail": {}}) for score in row.scores),
        }
    )
