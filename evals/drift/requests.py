"""The request log: what each sampled question measured, read back as columns of one window. Knows no product and no statistic."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Row, cast, delete, func, insert, select, update
from sqlalchemy import Text as SqlText

from data.database import Database
from data.records import Record
from data.tables import feedback
from data.watch_tables import watch_requests

Numbers = NDArray[np.float64]
BATCH = 2000
VECTOR = "<f2"


class LoggedRequest(Record):
    """One row. `embedding` holds float16, little endian, of unit length; empty where there is none."""

    receipt_id: str
    tenant: str
    collection: str = ""
    at: datetime
    question: str = ""
    embedder: str = ""
    embedding: bytes = b""
    scores: tuple[float, ...] = ()
    similarity: float | None = None
    chunk_ids: tuple[str, ...] = ()
    abstained: bool = False
    support: float | None = None
    length: int = 0
    latency_ms: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    toxicity: float | None = None
    model: str = ""
    adapter: str = ""


@dataclass(frozen=True)
class RequestFilter:
    """Which requests a watch looks at; empty for all."""

    tenant: str = ""
    collection: str = ""


@dataclass(frozen=True)
class RequestWindow:
    """Requests of a stretch of time, oldest first. Numbers that were not measured are NaN."""

    at: tuple[datetime, ...]
    questions: tuple[str, ...]
    vectors: NDArray[np.float32]
    """[n, dim] of one embedder; a row of NaN where a request has none."""
    embedder: str
    numbers: dict[str, Numbers]
    """similarity, score, score_gap, abstained, support, length, latency_ms, tokens, toxicity, thumbs_down."""
    chunk_ids: tuple[tuple[str, ...], ...]
    receipt_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.at)

    @property
    def has_vector(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.vectors[:, 0]) if self.vectors.shape[1] else np.zeros(len(self), bool)

    def part(self, rows: NDArray) -> "RequestWindow":
        """The requests at these places (indices or a mask)."""
        places = np.arange(len(self))[rows]
        return RequestWindow(
            tuple(self.at[i] for i in places),
            tuple(self.questions[i] for i in places),
            self.vectors[places],
            self.embedder,
            {name: column[places] for name, column in self.numbers.items()},
            tuple(self.chunk_ids[i] for i in places),
            tuple(self.receipt_ids[i] for i in places),
        )


class RequestStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, requests: Sequence[LoggedRequest]) -> None:
        """Keep them in one transaction that does not wait for the disk."""
        rows = [request.model_dump() | {"embedding": request.embedding or None} for request in requests]
        with self._database.append(flush=False) as connection:
            connection.execute(insert(watch_requests), rows)

    def window(
        self, since: datetime, until: datetime, wanted: RequestFilter = RequestFilter(), *, embedder: str = ""
    ) -> RequestWindow:
        """Requests from `since` on and before `until`; their vectors are those of `embedder`, else of the newest request."""
        inside = (watch_requests.c.at >= since) & (watch_requests.c.at < until) & _of(wanted)
        down = (
            select(feedback.c.receipt_id, (func.max(feedback.c.rating) == "down").label("down"))
            .where(feedback.c.rating.in_(("up", "down")))
            .group_by(feedback.c.receipt_id)
            .subquery()
        )
        asked = (
            select(watch_requests, down.c.down)
            .outerjoin(down, down.c.receipt_id == watch_requests.c.receipt_id)
            .where(inside)
            .order_by(watch_requests.c.at, watch_requests.c.id)
        )
        with self._database.read() as connection:
            rows = list(connection.execution_options(yield_per=BATCH).execute(asked))
        return _window(rows, embedder)

    def span(self, wanted: RequestFilter = RequestFilter()) -> tuple[datetime, datetime, int] | None:
        """When the first and the last request was logged, and how many there are."""
        asked = select(func.min(watch_requests.c.at), func.max(watch_requests.c.at), func.count()).where(_of(wanted))
        with self._database.read() as connection:
            first, last, n = connection.execute(asked).one()
        return (_aware(first), _aware(last), n) if n else None

    def purge(self, before: datetime) -> int:
        """Delete what is older than the retention allows; returns how many."""
        with self._database.append(flush=False) as connection:
            return connection.execute(delete(watch_requests).where(watch_requests.c.at < before)).rowcount

    def forget(self, document_id: str) -> int:
        """Blank the words of requests that were shown a document: they may repeat it. Returns how many."""
        shown = cast(watch_requests.c.chunk_ids, SqlText).contains(document_id, autoescape=True)
        with self._database.append() as connection:
            gone = update(watch_requests).where(shown).values(question="", embedding=None, chunk_ids=[])
            return connection.execute(gone).rowcount

    def n_mentions(self, document_id: str) -> int:
        shown = cast(watch_requests.c.chunk_ids, SqlText).contains(document_id, autoescape=True)
        with self._database.read() as connection:
            return connection.execute(select(func.count()).where(shown)).scalar_one()


def _of(wanted: RequestFilter) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = watch_requests.c.id.is_not(None)
    if wanted.tenant:
        condition &= watch_requests.c.tenant == wanted.tenant
    if wanted.collection:
        condition &= watch_requests.c.collection == wanted.collection
    return condition


def _window(rows: Sequence[Row], embedder: str) -> RequestWindow:
    wanted = embedder or next((row.embedder for row in reversed(rows) if row.embedding), "")
    numbers = {
        "similarity": [row.similarity for row in rows],
        "score": [row.scores[0] if row.scores else None for row in rows],
        "score_gap": [row.scores[0] - row.scores[-1] if len(row.scores) > 1 else None for row in rows],
        "abstained": [row.abstained for row in rows],
        "support": [row.support for row in rows],
        "length": [None if row.abstained else row.length for row in rows],
        "latency_ms": [row.latency_ms for row in rows],
        "tokens": [row.prompt_tokens + row.completion_tokens for row in rows],
        "toxicity": [row.toxicity for row in rows],
        "thumbs_down": [row.down for row in rows],
    }
    return RequestWindow(
        at=tuple(_aware(row.at) for row in rows),
        questions=tuple(row.question for row in rows),
        vectors=_vectors([row.embedding if row.embedder == wanted else None for row in rows]),
        embedder=wanted,
        numbers={name: np.array(column, dtype=np.float64) for name, column in numbers.items()},
        chunk_ids=tuple(tuple(row.chunk_ids) for row in rows),
        receipt_ids=tuple(row.receipt_id for row in rows),
    )


def _vectors(blobs: Sequence[bytes | None]) -> NDArray[np.float32]:
    dim = next((len(blob) // 2 for blob in blobs if blob), 0)
    out = np.full((len(blobs), dim), np.nan, np.float32)
    for place, blob in enumerate(blobs):
        if blob and len(blob) == 2 * dim:
            out[place] = np.frombuffer(blob, VECTOR)
    return out


def _aware(at: datetime | str) -> datetime:
    """SQLite gives times back without their zone, and out of an aggregate as text."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
