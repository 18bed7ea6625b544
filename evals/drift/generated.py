"""A confirmed alarm leaves a regression suite of the drifted slice under evals/suites/generated/, for a person to review. Runs nothing.

The questions are real and redacted, their answers are not known: the suite asks what can be judged without (support, toxicity, injection), and a
reviewer adds answers and takes `reviewed: false` away. Of a table it names rows, not their contents.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from data.errors import InfrastructureError
from data.records import Sample
from evals.drift.config import LanguageWatch, TabularWatch
from evals.drift.findings import Findings
from evals.drift.records import Alarm
from evals.drift.requests import RequestWindow
from evals.suite import parse_suite

SCORERS = ("context", "citations", "toxicity", "injection", "usage")


def suite_name(alarm: Alarm) -> str:
    """Unique, sortable by watch and time."""
    return re.sub(r"[^a-z0-9_-]", "-", f"{alarm.watch}-{alarm.opened_at:%Y%m%d}-{alarm.id[-6:]}".lower())


def write_question_suite(
    watch: LanguageWatch, alarm: Alarm, findings: Findings, window: RequestWindow, folder: Path
) -> Path | None:
    """The suite's YAML, or None where the slice has no words. Raises: InfrastructureError where it cannot be written."""
    samples = question_samples(watch, alarm, findings, window)
    if not samples:
        return None
    name = suite_name(alarm)
    given = {
        "name": name,
        "description": f"Written from alarm {alarm.id} of the watch {watch.name}; not reviewed yet. {alarm.cause}",
        "dataset": {"path": f"samples/{name}.jsonl"},
        "target": {"kind": "rag", "collection": watch.collection or None, "tenant": watch.tenant or "default"},
        "scorers": list(SCORERS),
    }
    parse_suite(given, name)
    head = (
        f"# assay eval run evals/suites/generated/{name}.yaml\n"
        f"# {len(samples)} questions of the slice that drifted. Review: take out what nobody should ask, add answer and citations, then\n"
        "# set `reviewed: true` in their metadata and move suite and samples to evals/suites/.\n"
    )
    text = head + yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=110)
    lines = "".join(sample.model_dump_json(exclude_defaults=True) + "\n" for sample in samples)
    return _written(folder, name, text, f"samples/{name}.jsonl", lines)


def question_samples(watch: LanguageWatch, alarm: Alarm, findings: Findings, window: RequestWindow) -> list[Sample]:
    """Different questions of the drifted slice, as many as the watch wants; those that alarmed first."""
    samples: dict[str, Sample] = {}
    places = [int(place) for place in findings.drifted] or list(range(len(window)))
    for place in places:
        question = window.questions[place]
        key = " ".join(question.lower().split())
        if question and key not in samples and len(samples) < watch.alarms.suite_size:
            samples[key] = Sample(
                id=f"{alarm.id}-{len(samples):03d}",
                question=question,
                metadata={"reviewed": False, "alarm": alarm.id, "receipt": window.receipt_ids[place]},
            )
    return list(samples.values())


def write_row_suite(watch: TabularWatch, alarm: Alarm, ids: Sequence[object], folder: Path) -> Path:
    """The rows that are least like the reference's, to be labelled: their ids, the condition, and how to go on."""
    name = suite_name(alarm)
    given = {
        "name": name,
        "table": watch.table,
        "alarm": alarm.id,
        "reviewed": False,
        "cause": alarm.cause,
        "slices": [cause.slice for cause in alarm.causes if cause.slice],
        "rows": f"samples/{name}.jsonl",
    }
    head = f"# Rows of {watch.table} that drifted, to be labelled and kept as a test set. Not reviewed yet.\n"
    lines = "".join(json.dumps({"id": _plain(one)}) + "\n" for one in ids)
    text = head + yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=110)
    return _written(folder / "tables", name, text, f"samples/{name}.jsonl", lines)


def _written(folder: Path, name: str, text: str, beside: str, lines: str) -> Path:
    path, samples = folder / f"{name}.yaml", folder / beside
    try:
        samples.parent.mkdir(parents=True, exist_ok=True)
        samples.write_text(lines, "utf-8")
        path.write_text(text, "utf-8")
    except OSError as error:
        raise InfrastructureError(
            f"The suite {path} cannot be written: {error.strerror}.",
            next_step="The alarm is kept; free the folder and confirm it again.",
        ) from error
    return path


def _plain(value: object) -> str | int | float:
    item = getattr(value, "item", None)
    found = item() if callable(item) else value
    return found if isinstance(found, str | int | float) else str(found)
