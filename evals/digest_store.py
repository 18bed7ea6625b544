"""Writes and reads run digests in the database. Times are UTC. Reads no rows: what a page lists costs the same for any run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Connection, Select, String, cast, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from data.database import Database
from data.errors import NotFound
from data.records import EvalRow, EvalRun
from data.tables import eval_digests, eval_metrics, eval_rows, eval_runs, eval_samples, eval_values
from evals.digest import EVERYTHING, AskedSample, RunDigest, RunValues, SliceMetric, values_of
from evals.summary import MetricSummary, metrics_in

IN_ONE_QUERY = 500
"""SQLite takes a bounded number of parameters."""


@dataclass(frozen=True)
class RunLine:
    """One run in a list. Costs are zero while it is under way."""

    id: str
    suite: str
    target: str
    ref: str
    status: str
    created_at: datetime
    n_rows: int
    n_failed: int
    n_cached: int
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    summary: MetricSummary | None = None
    """Of the metric that was asked for."""


class Mean(Protocol):
    """What is read of a mean: a `MetricSummary` is one."""

    mean: float | None
    low: float | None
    high: float | None
    n: int
    n_errors: int
    higher_is_better: bool
    unit: str


@dataclass(frozen=True)
class RecentRun:
    line: RunLine
    means: dict[str, Mean]
    """Over all samples, by metric."""


@dataclass(frozen=True)
class TrendPoint:
    run_id: str
    created_at: datetime
    target: str
    ref: str
    summary: Mean


@dataclass(frozen=True)
class SuiteLine:
    name: str
    n_runs: int
    newest: datetime


@dataclass(frozen=True)
class RunQuery:
    """Which runs: of a suite, with a status; with `with_gate` also those that the gate made. `metric` and `slice` are told of each."""

    suite: str = ""
    status: str = ""
    with_gate: bool = True
    metric: str = ""
    slice: str = EVERYTHING


@dataclass(frozen=True)
class Spent:
    """What the runs of one suite cost on one day."""

    day: str
    suite: str
    n_runs: int
    n_rows: int
    n_cached: int
    seconds: float
    prompt_tokens: int
    completion_tokens: int


def keep_digest(connection: Connection, run: EvalRun, summary: Mapping[str, JsonValue], digest: RunDigest) -> None:
    """Replaces what was kept of the run before."""
    for table in (eval_metrics, eval_values, eval_digests):
        connection.execute(delete(table).where(table.c.run_id == run.id))
    facts = {"suite": run.suite, "ref": str(run.config.get("ref", "")), "created_at": run.created_at}
    about = {"run_id": run.id, "target": run.target, "status": run.status, "dataset": digest.dataset}
    counts = {name: summary.get(name) or 0 for name in COUNTS}
    connection.execute(insert(eval_digests), facts | about | counts)
    connection.execute(insert(eval_values), {"run_id": run.id, "body": digest.values.model_dump(mode="json")})
    if rows := [facts | {"run_id": run.id} | _metric_row(one) for one in digest.metrics]:
        connection.execute(insert(eval_metrics), rows)
    _keep_samples(connection, digest)


COUNTS = ("n_rows", "n_cached", "n_failed", "seconds", "prompt_tokens", "completion_tokens")
RECENT = ("run_id", "suite", "target", "status", "created_at", "ref", *COUNTS)
MEASURED = ("mean", "low", "high", "n", "n_clusters", "n_errors", "higher_is_better", "unit")


class RunHistory:
    """Everything that pages show of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def suites(self) -> list[SuiteLine]:
        c = eval_runs.c
        asked = select(c.suite, func.count(), func.max(c.created_at)).group_by(c.suite).order_by(c.suite)
        return [SuiteLine(name, n, _utc(newest)) for name, n, newest in self._all(asked)]

    def runs(self, query: RunQuery, limit: int, offset: int = 0) -> list[RunLine]:
        """Newest first."""
        r, m = eval_runs.c, eval_metrics.c
        measured = (m.run_id == r.id) & (m.metric == query.metric) & (m.slice == query.slice)
        asked = _listed(*(m[name] for name in MEASURED)).join(eval_metrics, measured, isouter=True)
        asked = asked.where(*_conditions(query)).order_by(r.created_at.desc()).limit(limit).offset(offset)
        return [_line(row, _summary(row) if row.n is not None else None) for row in self._all(asked)]

    def n_runs(self, query: RunQuery) -> int:
        asked = select(func.count()).select_from(eval_runs)
        if not query.with_gate:
            asked = asked.join(eval_digests, eval_digests.c.run_id == eval_runs.c.id, isouter=True)
        return self._all(asked.where(*_conditions(query)))[0][0]

    def run(self, run_id: str) -> EvalRun:
        """Raises: NotFound."""
        found = self._all(select(eval_runs.c.body).where(eval_runs.c.id == run_id))
        if not found:
            raise NotFound(f"There is no run {run_id!r}.", next_step="See: assay eval list")
        return EvalRun.model_validate(found[0].body)

    def line(self, run_id: str) -> RunLine:
        """Raises: NotFound."""
        if not (found := self._all(_listed().where(eval_runs.c.id == run_id))):
            raise NotFound(f"There is no run {run_id!r}.", next_step="See: assay eval list")
        return _line(found[0])

    def metrics(self, run_id: str, field: str | None = None) -> list[SliceMetric]:
        """Means over all samples, or over each slice of a metadata field."""
        c = eval_metrics.c
        is_slice = c.slice == EVERYTHING if field is None else c.slice.startswith(f"{field}=", autoescape=True)
        asked = select(eval_metrics).where(c.run_id == run_id, is_slice).order_by(c.slice, c.place)
        return [_slice_metric(row) for row in self._all(asked)]

    def slices(self, run_id: str) -> list[str]:
        """In order, as `field=value`."""
        c = eval_metrics.c
        asked = select(c.slice).distinct().where(c.run_id == run_id, c.slice != EVERYTHING)
        return sorted(name for (name,) in self._all(asked))

    def before(self, run_id: str) -> str | None:
        """The run that came before it: of the same suite, and of the same kind (the gate's, or not)."""
        c = eval_digests.c
        own = select(c.suite, c.ref, c.created_at).where(c.run_id == run_id)
        if not (found := self._all(own)):
            return None
        suite, ref, at = found[0]
        same = (c.suite == suite, (c.ref == "") == (ref == ""), c.created_at < at)
        older = self._all(select(c.run_id).where(*same).order_by(c.created_at.desc()).limit(1))
        return older[0].run_id if older else None

    def newest(self, suite: str) -> str | None:
        """The newest run of the suite with numbers that is not one side of a gate; where there is none, any."""
        c = eval_digests.c
        asked = select(c.run_id).where(c.suite == suite).order_by(c.ref != "", c.created_at.desc()).limit(1)
        found = self._all(asked)
        return found[0].run_id if found else None

    def recent(self, suites: Sequence[str], limit: int) -> dict[str, list[RecentRun]]:
        """By suite the newest runs that are no side of a gate, newest first: one read, for all suites that an overview shows."""
        d, m = eval_digests.c, eval_metrics.c
        place = func.row_number().over(partition_by=d.suite, order_by=d.created_at.desc()).label("rank")
        ranked = select(eval_digests, place).where(d.suite.in_(suites), d.ref == "").subquery()
        facts = [ranked.c[name].label(name if name != "run_id" else "id") for name in RECENT]
        whole = (m.run_id == ranked.c.run_id) & (m.slice == EVERYTHING)
        asked = select(*facts, m.metric, *(m[name] for name in MEASURED)).select_from(ranked)
        asked = asked.join(eval_metrics, whole, isouter=True).where(ranked.c.rank <= limit)
        found: dict[str, dict[str, RecentRun]] = {name: {} for name in suites}
        for row in self._all(asked.order_by(ranked.c.suite, ranked.c.rank, m.place)):
            runs = found[row.suite]
            if row.id not in runs:
                runs[row.id] = RecentRun(_line(row), {})
            if row.metric is not None:
                runs[row.id].means[row.metric] = row
        return {name: list(runs.values()) for name, runs in found.items()}

    def metric_names(self, suite: str) -> list[str]:
        """In the suite's order, as its newest run has them."""
        newest = self.newest(suite)
        return [one.metric for one in self.metrics(newest)] if newest else []

    def trend(
        self, suite: str, metric: str, *, slice_: str = EVERYTHING, with_gate: bool = False, limit: int = 200
    ) -> list[TrendPoint]:
        """The newest runs, oldest first."""
        c = eval_metrics.c
        asked = select(eval_metrics, eval_digests.c.target).join(eval_digests, eval_digests.c.run_id == c.run_id)
        asked = asked.where(c.suite == suite, c.metric == metric, c.slice == slice_)
        if not with_gate:
            asked = asked.where(c.ref == "")
        rows = self._all(asked.order_by(c.created_at.desc()).limit(limit))
        return [TrendPoint(r.run_id, _utc(r.created_at), r.target, r.ref, _summary(r)) for r in reversed(rows)]

    def values(self, run_id: str) -> RunValues:
        """What was kept, or for a run that has not ended what its rows say by now."""
        found = self._all(select(eval_values.c.body).where(eval_values.c.run_id == run_id))
        if found:
            return RunValues.model_validate(found[0].body)
        rows = self.rows(run_id)
        return values_of(rows, metrics_in(rows, {}))

    def rows(self, run_id: str) -> list[EvalRow]:
        c = eval_rows.c
        bodies = self._all(select(c.body).where(c.run_id == run_id).order_by(c.id))
        return [EvalRow.model_validate(body) for (body,) in bodies]

    def row(self, run_id: str, sample_id: str, repeat: int = 0) -> EvalRow:
        """Raises: NotFound."""
        c = eval_rows.c
        same = (c.run_id == run_id, c.sample_id == sample_id, c.repeat == repeat)
        found = self._all(select(c.body).where(*same))
        if not found:
            raise NotFound(f"The run {run_id} has no sample {sample_id!r} with repeat {repeat}.")
        return EvalRow.model_validate(found[0].body)

    def samples(self, run_id: str, ids: Sequence[str]) -> dict[str, AskedSample]:
        """What was asked, as far as it is known."""
        dataset = select(eval_digests.c.dataset).where(eval_digests.c.run_id == run_id).scalar_subquery()
        c, found = eval_samples.c, {}
        for start in range(0, len(ids), IN_ONE_QUERY):
            part = ids[start : start + IN_ONE_QUERY]
            asked = select(c.sample_id, c.body).where(c.dataset == dataset, c.sample_id.in_(part))
            found |= {row.sample_id: AskedSample.model_validate(row.body) for row in self._all(asked)}
        return found

    def spent(self, since: datetime, suite: str = "") -> list[Spent]:
        """By day and suite, the oldest day first."""
        c = eval_digests.c
        day = func.substr(cast(c.created_at, String), 1, 10)
        sums = [func.sum(c[name]) for name in ("n_rows", "n_cached", "seconds", "prompt_tokens", "completion_tokens")]
        asked = select(day, c.suite, func.count(), *sums).where(c.created_at >= since)
        if suite:
            asked = asked.where(c.suite == suite)
        return [Spent(*row) for row in self._all(asked.group_by(day, c.suite).order_by(day, c.suite))]

    def _all(self, asked: Select) -> Sequence[Any]:
        with self._database.read() as connection:
            return connection.execute(asked).all()


def _listed(*more: Any) -> Select:
    r, d = eval_runs.c, eval_digests.c
    columns = (r.id, r.suite, r.target, r.status, r.created_at, d.ref, *(d[name] for name in COUNTS), *more)
    return select(*columns).join_from(eval_runs, eval_digests, d.run_id == r.id, isouter=True)


def _conditions(query: RunQuery) -> Iterable[ColumnElement[bool]]:
    r = eval_runs.c
    if query.suite:
        yield r.suite == query.suite
    if query.status:
        yield r.status == query.status
    if not query.with_gate:
        yield func.coalesce(eval_digests.c.ref, "") == ""


def _line(row: Any, summary: MetricSummary | None = None) -> RunLine:
    counts = {name: getattr(row, name) or 0 for name in COUNTS}
    facts = {name: getattr(row, name) for name in ("id", "suite", "target", "status")}
    return RunLine(**facts, created_at=_utc(row.created_at), ref=row.ref or "", summary=summary, **counts)


def _metric_row(one: SliceMetric) -> dict[str, Any]:
    return one.model_dump(exclude={"summary"}) | {name: getattr(one.summary, name) for name in MEASURED}


def _slice_metric(row: Any) -> SliceMetric:
    return SliceMetric(metric=row.metric, slice=row.slice, place=row.place, summary=_summary(row))


def _summary(row: Any) -> MetricSummary:
    return MetricSummary(**{name: getattr(row, name) for name in MEASURED})


def _keep_samples(connection: Connection, digest: RunDigest) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    rows = [
        {"dataset": digest.dataset, "sample_id": identity, "body": sample.model_dump(mode="json")}
        for identity, sample in digest.samples.items()
    ]
    if rows:  # another run of the same samples may have kept them before, or be keeping them now
        connection.execute(dialect.insert(eval_samples).on_conflict_do_nothing(), rows)


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)  # SQLite forgets the zone; everything is stored in UTC
