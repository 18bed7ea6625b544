"""What a reader reaches on held-out articles: when it must answer, when it may not, and at telling passages apart."""

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from data.asked import KINDS, taken_off
from finetune.encoders.measures import answer_exact, answer_f1, auroc, best_threshold, mean
from finetune.kinds import Measured

RIGHT = 0.5
"""F1 from which an answer counts as right where it is told how likely that is."""
LARGEST_SLOPE = 10.0


@dataclass(frozen=True)
class Read:
    """The best span for one row. `golds` is empty where nothing answers; `made` says where such a row comes from.

    `lacks` is what the question asks for and what does not stand around the span (`data.asked.missing`).
    """

    row: str
    group: str
    answer: str
    score: float
    golds: tuple[str, ...]
    made: str
    lacks: tuple[float, ...] = (0.0,) * len(KINDS)


def reader_metrics(reads: Sequence[Read]) -> dict[str, Measured]:
    """F1 and exact match on answerable questions when it must answer; F1 where some have no answer; AUROC of the right passage against
    a retrieved wrong one. What is missing is weighed, and the threshold set, for each half of the articles by the other half."""
    reads = _crossed(reads)
    answerable = [read for read in reads if read.golds]
    open_rows = rows_with_unanswerable(reads)
    wrong = [read.score for read in reads if read.made == "retrieved"]
    return {
        "f1_answerable": mean([answer_f1(read.answer, read.golds) for read in answerable]),
        "exact_answerable": mean([answer_exact(read.answer, read.golds) for read in answerable]),
        "f1_overall": mean(crossed_f1(open_rows)),
        "auroc_passage": auroc([read.score for read in answerable], wrong),
    }


def reader_missing(reads: Sequence[Read]) -> dict[str, float]:
    """What the score loses for each kind in `lacks`: a logistic regression of "has an answer" on score and lacks, in units of the score.

    Over all rows, retrieved paragraphs among them: those hold the question's names, so that names count for less than among published
    rows alone. Nothing where the rows cannot tell, or for what speaks for an answer.
    """
    rows = [read for read in reads if np.isfinite(read.score)]
    labels = np.array([bool(read.golds) for read in rows])
    if labels.all() or not labels.any():  # also where there is no row
        return {}
    x = np.array([[read.score, *read.lacks] for read in rows])
    spread = x.std(0)
    spread[spread == 0] = 1
    on_score, *on_lacks = LogisticRegression().fit(x / spread, labels).coef_[0] / spread
    if on_score <= 0:
        return {}
    return {kind: max(0.0, round(float(-w / on_score), 4)) for kind, w in zip(KINDS, on_lacks, strict=True)}


def less_missing(reads: Sequence[Read], worth: Mapping[str, float]) -> list[Read]:
    """The rows with what is missing taken off their scores."""
    return [dataclasses.replace(read, score=read.score - taken_off(worth, read.lacks)) for read in reads]


def reader_threshold(reads: Sequence[Read]) -> float:
    """The score from which an answer is given: best for F1 over all held-out rows of articles that have unanswerable ones."""
    rows = rows_with_unanswerable(reads)
    return best_threshold([read.score for read in rows], [_if_given(r) for r in rows], [_if_withheld(r) for r in rows])


def reader_slope(reads: Sequence[Read], threshold: float) -> float:
    """The a of sigmoid(a * (score - threshold)) that best says whether the span is right (half of its words); likeliest, by Newton.

    Platt 1999 with the middle held at the threshold. 1 where the rows cannot tell.
    """
    rows = rows_with_unanswerable(reads) or list(reads)
    x = np.array([read.score - threshold for read in rows], float)
    right = np.array([bool(read.golds) and answer_f1(read.answer, read.golds) >= RIGHT for read in rows], float)
    x, right = x[np.isfinite(x)], right[np.isfinite(x)]
    slope = 0.5
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(slope * x, -50, 50)))
        bend = float((p * (1 - p) * x * x).sum())
        if bend < 1e-9:
            return 1.0
        step = float(((right - p) * x).sum()) / bend
        slope += float(np.clip(step, -0.5, 0.5))
        if abs(step) < 1e-6:
            break
    return slope if 0 < slope < LARGEST_SLOPE else 1.0


def rows_with_unanswerable(reads: Sequence[Read]) -> list[Read]:
    """Published rows (no negatives made here) of the articles that have unanswerable ones."""
    given = [read for read in reads if read.made == "given"]
    groups = {read.group for read in given if not read.golds}
    return [read for read in given if read.group in groups]


def crossed_f1(rows: Sequence[Read]) -> list[float]:
    """F1 of each row, its threshold chosen on the other half of the articles."""
    halves = _halves(rows)
    found = []
    for side, half in halves.items():
        threshold = reader_threshold(halves.get(1 - side) or half)
        found += [_if_given(r) if r.score >= threshold else _if_withheld(r) for r in half]
    return found


def _crossed(reads: Sequence[Read]) -> list[Read]:
    """Each half of the articles with what the other half says is missing taken off."""
    halves = _halves(reads)
    return [
        read
        for side, half in halves.items()
        for read in less_missing(half, reader_missing(halves.get(1 - side) or half))
    ]


def _halves(rows: Sequence[Read]) -> dict[int, list[Read]]:
    halves: dict[int, list[Read]] = defaultdict(list)
    order = sorted({read.group for read in rows}, key=lambda group: hashlib.sha256(group.encode()).digest())
    place = {group: i % 2 for i, group in enumerate(order)}
    for read in rows:
        halves[place[read.group]].append(read)
    return halves


def _if_given(read: Read) -> float:
    return answer_f1(read.answer, read.golds) if read.golds else 0.0


def _if_withheld(read: Read) -> float:
    return float(not read.golds)
