"""Two simulated months over the sample corpus, with a drift in week six: real questions, answers and checks; only the times are made up."""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.settings import ROOT, Settings
from app.watch import logged
from app.watch_checks import Checked, CheckOptions, DriftRunner
from data.records import EventType, Principal
from evals.drift.config import LanguageWatch, load_watch
from evals.drift.requests import LoggedRequest, RequestStore

if TYPE_CHECKING:
    from app.assay import Assay

SAMPLES = ROOT / "data" / "samples"
NEW = Path(__file__).parent / "watch_demo_questions.txt"
"""Questions about something that the sample corpus does not hold."""
DAYS = 63
DRIFT_DAY = 35
"""Week six begins."""
PER_DAY = 40
SHARE = 0.2
"""Of the questions from then on."""
WATCH = "questions"
Told = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """What the demonstration left in its store."""

    n_requests: int
    checks: tuple[Checked, ...]

    @property
    def alarms(self) -> list[str]:
        return [c.settled.alarm.id for c in self.checks if c.settled.event == "opened" and c.settled.alarm]


def run_demo(
    settings: Settings, assay: "Assay", *, suites: Path, end: datetime | None = None, told: Told = lambda _: None
) -> Demo:
    """Fill `assay`'s store with two months that end at `end` and check them week by week. The store must be the demo's own."""
    moment = (end or datetime.now(UTC)).replace(minute=0, second=0, microsecond=0)
    began = moment - timedelta(days=DAYS)
    usual, new = _usual(), [line for line in NEW.read_text("utf-8").splitlines() if line.strip()]
    told(f"Asking {len(usual) + len(new)} questions")
    known = _answered(settings, assay, usual)
    fresh = _answered(settings, assay, new)
    rows = _months(known, fresh, began)
    RequestStore(assay.stores.database).append(rows)
    told(f"Logged {len(rows)} requests of {DAYS} days")
    runner = DriftRunner(settings, assay.stores.database)
    watch = _watch(began)
    checks = []
    for day in range(28 + 7, DAYS + 1, 7):
        found = runner.check(watch, CheckOptions(at=began + timedelta(days=day), suites=suites, tells=False))
        checks.append(found)
        told(f"Week {day // 7}: {found.findings.check.outcome}, alarm {found.settled.event}")
    return Demo(len(rows), tuple(checks))


def _watch(began: datetime) -> LanguageWatch:
    """The shipped watch, against the first four weeks."""
    watch = load_watch(WATCH)
    if not isinstance(watch, LanguageWatch):
        raise TypeError(f"{WATCH} watches no questions")
    reference = watch.reference.model_copy(update={"until": began + timedelta(days=28)})
    return watch.model_copy(update={"reference": reference, "collection": "handbook", "evidently": False})


def _usual() -> list[str]:
    lines = (SAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines if line.strip() and json.loads(line).get("answerable", True)]


def _answered(settings: Settings, assay: "Assay", questions: Sequence[str]) -> list[LoggedRequest]:
    """Ask each question once, as somebody who may read all of the sample corpus."""
    groups = {group for document in _all_groups() for group in document}
    asker = Principal(groups=frozenset(groups), subject="demo")
    rows = []
    vectors = assay.embed(questions, "query")
    for question, vector in zip(questions, vectors, strict=True):
        answer = next(
            e for e in assay.ask(question, principal=asker, collection="handbook") if e.type is EventType.FINAL
        ).answer
        receipt = assay.receipts.get(answer.receipt_id, asker)
        rows.append(logged(receipt, (assay.embedder.id, vector), settings.watch))
    return rows


def _all_groups() -> list[tuple[str, ...]]:
    import yaml

    manifest = yaml.safe_load((SAMPLES / "manifest.yaml").read_text("utf-8"))
    entries = manifest["documents"] if isinstance(manifest, dict) else manifest
    return [tuple(entry.get("groups") or ()) for entry in entries]


def _months(known: Sequence[LoggedRequest], fresh: Sequence[LoggedRequest], began: datetime) -> list[LoggedRequest]:
    rng = np.random.default_rng(6)
    rows = []
    for day in range(DAYS):
        for second in np.sort(rng.integers(7 * 3600, 19 * 3600, PER_DAY)):
            is_new = day >= DRIFT_DAY and rng.random() < SHARE
            one = (fresh if is_new else known)[int(rng.integers(len(fresh if is_new else known)))]
            changes = {
                "at": began + timedelta(days=day, seconds=int(second)),
                "receipt_id": f"rcpt_demo{secrets.token_hex(6)}",
                "latency_ms": round(one.latency_ms * float(rng.lognormal(0, 0.25)), 3),
            }
            rows.append(one.model_copy(update=changes))
    return rows
