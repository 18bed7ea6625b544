"""Kept predictions and their labels in the database. Rows hold personal data: they stay in their tenant, and are deleted by age."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, delete, func, insert, or_, select

from data.database import Database
from data.errors import NotFound
from data.prediction_tables import prediction_labels, predictions

Stage = Literal["champion", "canary", "shadow", "pinned"]
SHOWN: tuple[Stage, ...] = ("champion", "canary", "pinned")
"""What users were answered; a shadow's prediction is nobody's decision."""
PAGE = 5_000
IN_ONE_QUERY = 500
"""Values in one statement: SQLite takes no more than a few thousand."""


class KeptPrediction(BaseModel):
    """One row that was scored. `features` are the bytes that the model read: float32, little endian."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    entity: str = ""
    tenant: str = "default"
    model: str
    version: str
    stage: Stage = "champion"
    trial: int = 0
    score: float
    decision: bool
    row: dict[str, Any]
    features: bytes
    at: datetime

    @property
    def request_id(self) -> str:
        return self.key.rpartition(":")[0]


class PredictionLabel(BaseModel):
    """What became known of a prediction, by its key, or of a row, by its own id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str
    label: bool
    known_at: datetime


class Labelled(BaseModel):
    """A prediction and its label; None while that is not known."""

    model_config = ConfigDict(frozen=True)

    prediction: KeptPrediction
    label: bool | None
    known_at: datetime | None


def matrix_of(kept: Sequence[KeptPrediction]) -> np.ndarray:
    """float32 [n, n_features], of predictions of one version."""
    if not kept:
        return np.empty((0, 0), dtype=np.float32)
    return np.stack([np.frombuffer(one.features, dtype="<f4") for one in kept])


class PredictionStore:
    def __init__(self, database: Database) -> None:
        self.database = database

    # -- writing

    def add(self, kept: Sequence[KeptPrediction]) -> None:
        if kept:
            with self.database.append(flush=False) as connection:
                connection.execute(insert(predictions), [one.model_dump() for one in kept])

    def label(self, model: str, labels: Sequence[PredictionLabel], tenant: str = "default") -> int:
        """Keep labels; returns how many belong to a prediction that is kept."""
        if not labels:
            return 0
        now = datetime.now(UTC)
        found = 0
        with self.database.append() as connection:
            rows = [one.model_dump() | {"model": model, "tenant": tenant, "at": now} for one in labels]
            connection.execute(insert(prediction_labels), rows)
            for start in range(0, len(labels), IN_ONE_QUERY):
                found += self._n_known(
                    connection, model, tenant, [x.subject for x in labels[start : start + IN_ONE_QUERY]]
                )
        return found

    def prune(self, before: datetime) -> int:
        """Delete what is older, and labels that then belong to nothing kept; returns how many predictions."""
        c, label = predictions.c, prediction_labels.c
        with self.database.append() as connection:
            n = connection.execute(delete(predictions).where(c.at < before)).rowcount
            of_kept = (
                select(predictions.c.id)
                .where(c.model == label.model, c.tenant == label.tenant)
                .where(or_(c.key == label.subject, c.entity == label.subject))
            )
            connection.execute(delete(prediction_labels).where(label.at < before, ~of_kept.exists()))
        return n

    # -- reading

    def find(self, key: str, tenant: str = "default") -> KeptPrediction:
        """The newest prediction that was shown under a key: a client that tries again may use an id twice. Raises: NotFound."""
        c = predictions.c
        query = (
            select(predictions)
            .where(c.key == key, c.tenant == tenant, c.stage != "shadow")
            .order_by(c.id.desc())
            .limit(1)
        )
        with self.database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFound(
                f"There is no kept prediction {key!r}.",
                next_step="Only a sample is kept, for a while: ASSAY_TABULAR__LOG_SHARE, ASSAY_TABULAR__KEEP_DAYS.",
            )
        return _kept(row)

    def of_subjects(self, model: str, subjects: Sequence[str], tenant: str = "default") -> list[KeptPrediction]:
        """All stages' predictions, the shadow's too, that labels with these subjects are about."""
        c, found = predictions.c, {}
        with self.database.read() as connection:
            for start in range(0, len(subjects), IN_ONE_QUERY):
                some = subjects[start : start + IN_ONE_QUERY]
                query = select(predictions).where(c.model == model, c.tenant == tenant)
                rows = connection.execute(query.where(or_(c.key.in_(some), c.entity.in_(some)))).mappings()
                found |= {row["id"]: _kept(row) for row in rows}
        return [found[one] for one in sorted(found)]

    def each(
        self,
        model: str,
        version: str = "",
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        stages: Sequence[Stage] = SHOWN,
        limit: int | None = None,
    ) -> Iterator[list[KeptPrediction]]:
        """Pages of predictions from [since, until) in the order in which they came; `limit` takes the newest."""
        c = predictions.c
        query = select(predictions).where(c.model == model, c.stage.in_(stages))
        for condition in (
            c.version == version if version else None,
            c.at >= since if since else None,
            c.at < until if until else None,
        ):
            query = query if condition is None else query.where(condition)
        if limit is not None:
            newest = query.with_only_columns(c.id).order_by(c.id.desc()).limit(limit).subquery()
            query = select(predictions).where(c.id.in_(select(newest.c.id)))
        last = 0
        while True:
            with self.database.read() as connection:
                page = connection.execute(query.where(c.id > last).order_by(c.id).limit(PAGE)).mappings().all()
            if not page:
                return
            last = page[-1]["id"]
            yield [_kept(row) for row in page]

    def labelled(self, model: str, version: str = "", **window: Any) -> Iterator[list[Labelled]]:
        """As `each`, with the newest label that names the prediction's key or, failing that, its row's own id."""
        for page in self.each(model, version, **window):
            known = self._labels(model, {s for one in page for s in (one.key, one.entity) if s})
            yield [_with_label(one, known) for one in page]

    def _labels(self, model: str, subjects: set[str]) -> dict[tuple[str, str], tuple[bool, datetime]]:
        """By tenant and subject; a later label replaces an earlier one."""
        c, found = prediction_labels.c, {}
        ordered = sorted(subjects)
        with self.database.read() as connection:
            for start in range(0, len(ordered), IN_ONE_QUERY):
                query = select(prediction_labels).where(
                    c.model == model, c.subject.in_(ordered[start : start + IN_ONE_QUERY])
                )
                for row in connection.execute(query.order_by(c.id)).mappings():
                    found[row["tenant"], row["subject"]] = row["label"], _utc(row["known_at"])
        return found

    @staticmethod
    def _n_known(connection: Connection, model: str, tenant: str, subjects: list[str]) -> int:
        c = predictions.c
        matched = select(func.count(func.distinct(c.key))).where(c.model == model, c.tenant == tenant)
        return connection.execute(matched.where(or_(c.key.in_(subjects), c.entity.in_(subjects)))).scalar_one()


def _with_label(one: KeptPrediction, known: dict[tuple[str, str], tuple[bool, datetime]]) -> Labelled:
    label = known.get((one.tenant, one.key)) or known.get((one.tenant, one.entity)) or (None, None)
    return Labelled(prediction=one, label=label[0], known_at=label[1])


def _kept(row: Any) -> KeptPrediction:
    return KeptPrediction(**{name: row[name] for name in KeptPrediction.model_fields} | {"at": _utc(row["at"])})


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)  # SQLite forgets the zone; everything is stored in UTC
