"""Measures whatever says that a premise supports a sentence, against labelled pairs. Takes any callable; knows no model."""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from data.errors import InvalidInput
from evals.json_lines import read_rows
from evals.labels import is_yes
from evals.separation import auroc, balanced_accuracy, best_threshold, share

Supports = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""(premise, hypothesis) pairs to how strongly the one supports the other."""
AT_ONCE = 128


@dataclass(frozen=True)
class LabelledPair:
    premise: str
    hypothesis: str
    is_supported: bool
    source: str = ""


def load_pairs(path: Path) -> list[LabelledPair]:
    """Rows with `premise`, `hypothesis`, `label`, perhaps `source`. Raises: InvalidInput naming the first row that does not fit."""
    rows = enumerate(read_rows(path, ("premise", "hypothesis", "label")), 1)
    found = [_pair(row, f"{path}, row {number}") for number, row in rows]
    if not found:
        raise InvalidInput(f"{path} holds no pair.", field="data")
    return found


def strangers(pairs: Sequence[LabelledPair], n: int, seed: int) -> list[LabelledPair]:
    """Up to `n` hypotheses, each with a premise that another one came with: nothing of it is supported, but for rare luck."""
    rng = random.Random(seed)
    premises = sorted({pair.premise for pair in pairs})
    if len(premises) < 2:
        return []
    out = []
    for pair in rng.sample(list(pairs), min(n, len(pairs))):
        at = rng.randrange(len(premises) - 1)
        other = premises[at] if premises[at] != pair.premise else premises[-1]
        out.append(LabelledPair(other, pair.hypothesis, False, pair.source))
    return out


def scores_of(
    pairs: Sequence[LabelledPair], supports: Supports, report: Callable[[int], None] = lambda _: None
) -> list[float]:
    """The support of every pair, in order."""
    out: list[float] = []
    for start in range(0, len(pairs), AT_ONCE):
        out += supports([(pair.premise, pair.hypothesis) for pair in pairs[start : start + AT_ONCE]])
        report(len(out))
    return out


def measure(pairs: Sequence[LabelledPair], scores: Sequence[float], threshold: float) -> dict[str, Any]:
    """Balanced accuracy at the threshold and AUROC: of all pairs, source by source where there are several, and their mean.

    `best_balanced_accuracy` is what a threshold fitted on these very pairs would reach: a bound, not a result.
    """
    by_source: dict[str, list[int]] = defaultdict(list)
    for i, pair in enumerate(pairs):
        by_source[pair.source].append(i)
    out = {"threshold": round(threshold, 4), **_part(pairs, scores, threshold)}
    if len(by_source) > 1:
        parts = {
            source: _part([pairs[i] for i in rows], [scores[i] for i in rows], threshold)
            for source, rows in sorted(by_source.items())
        }
        accuracies = [part["balanced_accuracy"]["value"] for part in parts.values() if part["balanced_accuracy"]]
        out |= {"sources": parts, "mean_over_sources": round(mean(accuracies), 4) if accuracies else None}
    return out


def taken_for_support(scores: Sequence[float], threshold: float) -> dict[str, Any] | None:
    """The share of `strangers` whose score says that they are supported, with Wilson's interval."""
    return share([score >= threshold for score in scores])


def _part(pairs: Sequence[LabelledPair], scores: Sequence[float], threshold: float) -> dict[str, Any]:
    labels = [pair.is_supported for pair in pairs]
    sides = ([s for s, label in zip(scores, labels, strict=True) if label is side] for side in (True, False))
    best = balanced_accuracy(scores, labels, best_threshold(scores, labels))
    return {
        "n": len(pairs),
        "n_supported": sum(labels),
        "balanced_accuracy": balanced_accuracy(scores, labels, threshold),
        "auroc": auroc(*sides),
        "best_balanced_accuracy": best["value"] if best else None,
    }


def _pair(row: Mapping[str, Any], where: str) -> LabelledPair:
    texts = [row["premise"], row["hypothesis"]]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidInput(f"{where}: `premise` and `hypothesis` must be texts.", field="data")
    return LabelledPair(*texts, is_yes(row["label"], "grounding", where), str(row.get("source") or ""))
