"""The view of one sample of one run: what was asked, found, answered, and why each scorer scored it as it did."""

import json
from typing import Any

from app.receipts import verify
from app.web.answers import shown
from app.web.dashboard.sources import Sources
from app.web.dashboard.view import View
from data.errors import NotFound
from data.records import EvalRow, EvalRun, Principal, Receipt, Score

STAGES = ("lexical", "dense", "fusion", "rerank")
LONGEST_FACT = 2000


def sample(sources: Sources, run_id: str, sample_id: str, repeat: int) -> View:
    """Raises: NotFound."""
    run, row = sources.runs.run(run_id), sources.runs.row(run_id, sample_id, repeat)
    asked = sources.runs.samples(run_id, [sample_id]).get(sample_id)
    hits = row.observation.hits
    before = sources.runs.before(run_id)
    context: dict[str, Any] = {"run": run, "row": row, "asked": asked, "seen": row.observation, "before": before}
    context |= {"stages": [stage for stage in STAGES if any(stage in hit.stages for hit in hits)]}
    context |= {"scores": [(score, reasons(score)) for score in row.scores], "receipt": _receipt(sources, run, row)}
    answer = row.observation.answer
    return View("sample.html", context | {"shown": shown(answer) if answer else None})


def receipt(sources: Sources, run_id: str, sample_id: str, repeat: int) -> View:
    """The receipt that a run's answer names: of no other answer. Raises: NotFound."""
    row = sources.runs.row(run_id, sample_id, repeat)
    found = _receipt(sources, sources.runs.run(run_id), row)
    if found is None:
        raise NotFound(
            "This answer's receipt is not in this database.",
            next_step="Only servers that a suite asks by URL write receipts, each into its own database.",
        )
    stages = [stage for stage in STAGES if any(stage in hit.stages for hit in found.hits)]
    context = {"receipt": found, "stages": stages, "shown": shown(found.answer), "verified": verify(found)}
    return View("receipt.html", context | {"run_id": run_id, "sample_id": sample_id, "repeat": repeat})


def reasons(score: Score) -> list[tuple[str, str]]:
    """What a scorer told beside its number, in words."""
    return [
        (name.replace("_", " "), _words(value))
        for name, value in score.detail.items()
        if value not in (None, "", [], {})
    ]


def _words(value: Any) -> str:
    if isinstance(value, str):
        told = value
    elif isinstance(value, float):
        told = f"{value:.3g}"
    elif isinstance(value, list) and all(isinstance(one, str | int | float | bool) for one in value):
        told = ", ".join(_words(one) for one in value)
    else:
        told = json.dumps(value, ensure_ascii=False)
    return told if len(told) <= LONGEST_FACT else told[: LONGEST_FACT - 1] + "…"


def _receipt(sources: Sources, run: EvalRun, row: EvalRow) -> Receipt | None:
    """Where the suite asked this installation's own documents, its receipts are here."""
    answer = row.observation.answer
    if answer is None or not answer.receipt_id:
        return None
    suite = run.config.get("suite")
    target = suite.get("target") if isinstance(suite, dict) else None
    tenant = target.get("tenant") if isinstance(target, dict) else None
    try:
        return sources.receipts.get(answer.receipt_id, Principal(tenant=str(tenant or "default")), any_subject=True)
    except NotFound:
        return None
