"""Measures whatever gives a text a probability (toxic, giving orders) against labelled texts. Takes any callable; knows no model."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from data.errors import InvalidInput
from evals.json_lines import read_rows
from evals.labels import is_yes
from evals.separation import auroc, balanced_accuracy, share

Screen = Callable[[Sequence[str]], Sequence[float]]
"""Texts to how likely each is what is looked for."""
Kind = Literal["toxicity", "injection"]
PROBES = Path(__file__).with_name("toxicity_probes.jsonl")
AT_ONCE = 128
LEAST_ROWS = 20
"""Rows without which a group's rate of false positives is not told."""


@dataclass(frozen=True)
class LabelledText:
    """`group` is whom or what it is about or where it is from, `functionality` what it probes."""

    text: str
    is_positive: bool
    group: str = ""
    functionality: str = ""


def load_texts(path: Path, kind: Kind) -> list[LabelledText]:
    """Rows with `text`, `label`, perhaps `group` and `functionality`. Raises: InvalidInput naming the first row that does not fit."""
    rows = enumerate(read_rows(path, ("text", "label")), 1)
    found = [_text(row, kind, f"{path}, row {number}") for number, row in rows]
    if not found:
        raise InvalidInput(f"{path} holds no text.", field="data")
    return found


def scores_of(
    texts: Sequence[LabelledText], screen: Screen, report: Callable[[int], None] = lambda _: None
) -> list[float]:
    """The score of every text, in order."""
    out: list[float] = []
    for start in range(0, len(texts), AT_ONCE):
        out += screen([row.text for row in texts[start : start + AT_ONCE]])
        report(len(out))
    return out


def measure(texts: Sequence[LabelledText], scores: Sequence[float], threshold: float) -> dict[str, Any]:
    """AUROC, recall and false positives at the threshold; of groups their false positives and the largest gap between two; of
    functionalities the share that is judged right."""
    positive, negative = (
        [s for row, s in zip(texts, scores, strict=True) if row.is_positive is side] for side in (True, False)
    )
    facts: dict[str, Any] = {
        "threshold": round(threshold, 4),
        "n": len(texts),
        "n_positive": len(positive),
        "auroc": auroc(positive, negative),
        "recall": share([s >= threshold for s in positive]),
        "false_positive_rate": share([s >= threshold for s in negative]),
        "balanced_accuracy": balanced_accuracy(scores, [row.is_positive for row in texts], threshold),
    }
    if any(row.group for row in texts):
        facts["groups"] = _groups(texts, scores, threshold)
    if any(row.functionality for row in texts):
        facts["functionalities"] = _functionalities(texts, scores, threshold)
    return facts


def _groups(texts: Sequence[LabelledText], scores: Sequence[float], threshold: float) -> dict[str, Any]:
    benign, all_rows = defaultdict(list), defaultdict(lambda: ([], []))
    for row, score in ((row, score) for row, score in zip(texts, scores, strict=True) if row.group):
        all_rows[row.group][row.is_positive].append(score)
        if not row.is_positive:
            benign[row.group].append(score >= threshold)
    rates = {group: share(raised) for group, raised in sorted(benign.items()) if len(raised) >= LEAST_ROWS}
    told = {group: {"auroc": auroc(sides[1], sides[0])} for group, sides in sorted(all_rows.items())}
    for group, rate in rates.items():
        told[group]["false_positive_rate"] = rate
    values = {group: rate["value"] for group, rate in rates.items()}
    if len(values) < 2:
        return {"by_group": told}
    high, low = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    between = [high, low] if values[high] > values[low] else []
    return {"by_group": told, "largest_gap": round(values[high] - values[low], 4), "between": between}


def _functionalities(texts: Sequence[LabelledText], scores: Sequence[float], threshold: float) -> dict[str, Any]:
    right: dict[str, list[bool]] = defaultdict(list)
    labels: dict[str, set[bool]] = defaultdict(set)
    for row, score in zip(texts, scores, strict=True):
        right[row.functionality].append((score >= threshold) is row.is_positive)
        labels[row.functionality].add(row.is_positive)
    return {
        name: {"is_positive": next(iter(labels[name])) if len(labels[name]) == 1 else None, "right": share(hits)}
        for name, hits in sorted(right.items())
    }


def _text(row: Mapping[str, Any], kind: Kind, where: str) -> LabelledText:
    if not isinstance(row["text"], str):
        raise InvalidInput(f"{where}: `text` must be a text.", field="data")
    named = [str(row.get(field) or "") for field in ("group", "functionality")]
    return LabelledText(row["text"], is_yes(row["label"], kind, where), *named)
