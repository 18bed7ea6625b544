"""Runs checks of drift: reads the log or the table, compares, keeps what was found, settles the alarm, and tells people.

The parts that only some checks need (pandas, evidently, the search) are imported where they are used.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import structlog

from app.settings import Settings
from app.watch_alerts import Delivery, deliver
from data.database import Database
from data.errors import AssayError, InvalidInput, RefusedDocument
from data.reading import file_sha256
from evals.drift.alarms import Settled, confirm, settle
from evals.drift.config import AnyWatch, LanguageWatch, TabularWatch
from evals.drift.findings import Bounds, Findings, is_too_few, language_findings, too_few
from evals.drift.generated import suite_name, write_question_suite, write_row_suite
from evals.drift.index_monitors import Recall, canary_value, index_values
from evals.drift.knowledge import Knowledge, index_health, load_knowledge
from evals.drift.language import LanguageBaseline
from evals.drift.records import Alarm, MonitorValue
from evals.drift.report import to_html
from evals.drift.requests import RequestFilter, RequestStore, RequestWindow
from evals.drift.store import DriftStore
from evals.suite import SUITES

if TYPE_CHECKING:
    from app.watch_tables import TableData

log = structlog.get_logger("assay.drift")
GENERATED = SUITES / "generated"


@dataclass(frozen=True)
class Checked:
    """A check as it was kept, what it did to the alarm, and who was told."""

    findings: Findings
    settled: Settled
    deliveries: tuple[Delivery, ...] = ()
    suite: Path | None = None


@dataclass(frozen=True)
class CheckOptions:
    at: datetime | None = None
    """The end of the window; now by default."""
    keeps: bool = True
    """Whether the check is stored and settles the alarm."""
    tells: bool = True
    """Whether webhook and e-mail are used."""
    suites: Path = GENERATED
    """Where generated suites go."""
    recall: Recall | None = None
    """Asks the canary questions."""


@dataclass
class DriftRunner:
    """One per process or command. `var` holds the reports."""

    settings: Settings
    database: Database
    _baselines: dict[tuple, LanguageBaseline] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store, self.requests = DriftStore(self.database), RequestStore(self.database)

    def check(self, watch: AnyWatch, options: CheckOptions = CheckOptions()) -> Checked:
        """Compare one window with the reference. Raises: InvalidInput, NotFound, InfrastructureError."""
        findings, sources = self._compared(watch, options.at or datetime.now(UTC), options.recall)
        if not options.keeps:
            return Checked(findings, Settled("none"))
        findings = self._reported(watch, findings, sources)
        self.store.save(findings.check, findings.values, findings.points)
        settled = settle(self.store, watch, findings.check, findings.values)
        suite = None
        if (
            settled.alarm
            and settled.event in ("opened", "confirmed", "seen")
            and settled.alarm.confirmed_at
            and not settled.alarm.suite
        ):
            settled, suite = self._with_suite(watch, settled, findings, sources, options.suites)
        deliveries = deliver(self.settings.watch, settled) if options.tells and settled.is_told else ()
        return Checked(findings, settled, tuple(deliveries), suite)

    def confirm(
        self, watch: AnyWatch, identity: str, who: str, options: CheckOptions = CheckOptions()
    ) -> tuple[Alarm, Path | None]:
        """A person believes the alarm: its suite is written from the window that opened it or the newest one that alarmed."""
        alarm = confirm(self.store, identity, who, datetime.now(UTC))
        if alarm.suite:
            return alarm, None
        findings, sources = self._compared(watch, alarm.last_seen_at or alarm.opened_at, None)
        settled, suite = self._with_suite(watch, Settled("confirmed", alarm), findings, sources, options.suites)
        return settled.alarm or alarm, suite

    def replay(self, watch: AnyWatch, since: datetime, until: datetime) -> Iterator[Findings]:
        """Window by window, what would have been found; keeps nothing. Raises: InvalidInput for an empty stretch."""
        if since >= until:
            raise InvalidInput(f"--from {since:%Y-%m-%d} is not before --to {until:%Y-%m-%d}.", field="from")
        if isinstance(watch, TabularWatch):
            from app.watch_tables import replay_table

            yield from replay_table(watch, since, until)
            return
        step = timedelta(days=watch.window.days)
        end = since + step
        while end <= until:
            yield self._compared(watch, end, None)[0]
            end += step

    # -- inside

    def _compared(self, watch: AnyWatch, at: datetime, recall: Recall | None) -> "tuple[Findings, Sources]":
        if isinstance(watch, TabularWatch):
            from app.watch_tables import TableData

            table = TableData.of(watch)
            return table.findings(at), Sources(table=table)
        return self._language(watch, at, recall)

    def _language(self, watch: LanguageWatch, at: datetime, recall: Recall | None) -> "tuple[Findings, Sources]":
        wanted = RequestFilter(watch.tenant, watch.collection)
        start = at - timedelta(days=watch.window.days)
        until = watch.reference.until or start
        if until > start:
            raise InvalidInput(
                f"The reference ends at {until:%Y-%m-%d %H:%M}, after the window begins at {start:%Y-%m-%d %H:%M}.",
                field="reference.until",
                next_step="Choose an earlier `until`, or check a later window with --at.",
            )
        bounds = Bounds(start, at)
        window = self.requests.window(start, at, wanted)
        key = (watch.name, until, watch.model_dump_json(), window.embedder)
        baseline = self._baselines.get(key)
        if baseline is None:
            reference = self.requests.window(
                until - timedelta(days=watch.reference.days), until, wanted, embedder=window.embedder
            )
            if is_too_few(watch, len(reference), len(window)):
                return too_few(watch, bounds, len(reference), len(window)), Sources(window=window)
            knowledge = self._knowledge(watch, window.embedder, wanted)
            baseline = LanguageBaseline(watch, reference, knowledge)
            if until < start:  # the streams have gone on since
                between = self.requests.window(until, start, wanted, embedder=window.embedder)
                if len(between):
                    baseline.follow(between)
            self._baselines = {key: baseline}
        if is_too_few(watch, len(baseline.reference), len(window)):
            return too_few(watch, bounds, len(baseline.reference), len(window)), Sources(window=window)
        more = self._index(watch, window, at, wanted, recall)
        return language_findings(baseline, window, bounds, more), Sources(window=window, baseline=baseline)

    def _knowledge(self, watch: LanguageWatch, embedder: str, wanted: RequestFilter) -> Knowledge | None:
        return load_knowledge(self.database, embedder, wanted) if watch.knowledge.is_watched and embedder else None

    def _index(
        self, watch: LanguageWatch, window: RequestWindow, at: datetime, wanted: RequestFilter, recall: Recall | None
    ) -> list[MonitorValue]:
        if not watch.knowledge.is_watched:
            return []
        health = index_health(
            self.database,
            window.chunk_ids,
            at,
            embedder=window.embedder,
            stale_days=watch.knowledge.stale_days,
            wanted=wanted,
            has_changed=has_changed,
        )
        values = index_values(watch, health, at)
        if recall is not None:
            values.append(
                canary_value(watch, recall(watch.knowledge), self.store.values(watch.name, "canary.recall"), at)
            )
        return values

    def _reported(self, watch: AnyWatch, findings: Findings, sources: "Sources") -> Findings:
        """Write the HTML page and, where it is installed, evidently's report beside it."""
        folder = self.settings.var / "drift" / watch.name
        stem = folder / findings.check.id
        links = (
            self._evidently(watch, sources, stem.with_name(f"{stem.name}-evidently"))
            if findings.check.outcome != "too_few"
            else {}
        )
        check = findings.check.model_copy(
            update={"reports": {"html": _below(stem.with_suffix(".html"), self.settings.var)} | links}
        )
        folder.mkdir(parents=True, exist_ok=True)
        names = {name: Path(where).name for name, where in links.items()}
        stem.with_suffix(".html").write_text(to_html(check, findings.values, names), "utf-8")
        return Findings(check, findings.values, findings.points, findings.drifted)

    def _evidently(self, watch: AnyWatch, sources: "Sources", stem: Path) -> dict[str, str]:
        if not watch.evidently:
            return {}
        try:
            from evals.drift import evidently_reports
        except ImportError:
            return {}
        try:
            if sources.table is not None:
                html, facts = evidently_reports.table_report(*sources.table.sides, stem)
            elif sources.baseline is not None and sources.baseline.has_vectors and sources.window is not None:
                here = sources.baseline.columns_of(sources.window)
                html, facts = evidently_reports.embedding_report(sources.baseline.columns.vectors, here.vectors, stem)
            else:
                return {}
        except Exception as error:  # a report beside ours: what it breaks on must not cost the check
            log.warning("drift.evidently_failed", reason=f"{type(error).__name__}: {error}"[:200])
            return {}
        return {"evidently.html": _below(html, self.settings.var), "evidently.json": _below(facts, self.settings.var)}

    def _with_suite(
        self, watch: AnyWatch, settled: Settled, findings: Findings, sources: "Sources", folder: Path
    ) -> tuple[Settled, Path | None]:
        alarm = settled.alarm
        if alarm is None:
            return settled, None
        try:
            if isinstance(watch, TabularWatch):
                path = write_row_suite(
                    watch, alarm, sources.table.ids(findings.drifted) if sources.table else (), folder
                )
            else:
                path = write_question_suite(watch, alarm, findings, sources.window, folder) if sources.window else None
        except AssayError as error:
            log.warning("drift.suite_failed", alarm=alarm.id, reason=str(error))
            return settled, None
        if path is None:
            return settled, None
        changed = alarm.model_copy(update={"suite": suite_name(alarm)})
        self.store.put_alarm(changed)
        return Settled(settled.event, changed, settled.is_silenced), path


@dataclass(frozen=True)
class Sources:
    """What a check looked at, for its reports and its suite."""

    window: RequestWindow | None = None
    baseline: LanguageBaseline | None = None
    table: "TableData | None" = None


def has_changed(uri: str, sha256: str) -> bool:
    """Whether a local source is gone or no longer what was read; of others nothing is known."""
    parsed = urlparse(uri)
    if parsed.scheme != "file":
        return False
    path = Path(unquote(parsed.path))
    if not path.exists():
        return True
    try:
        return file_sha256(path) != sha256
    except (OSError, RefusedDocument):
        return False


def _below(path: Path, var: Path) -> str:
    return path.relative_to(var).as_posix()
