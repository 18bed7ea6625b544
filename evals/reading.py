"""Measures a reader on questions with their contexts (SQuAD's fields). Knows no model and no index: it takes callables.

F1 and exact match are those of SQuAD's official script (Rajpurkar et al. 2016, section 6.1; 2018, section 4).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.errors import InvalidInput
from evals.intervals import percentiles, resampled
from evals.json_lines import read_rows
from evals.scorers.answers import normalised, token_scores
from evals.separation import auroc

Read = Callable[[Sequence[tuple[str, str]]], Sequence[tuple[str, float]]]
"""(question, context) pairs to (answer, score): the best answer there is, and how sure the reader is that it is one."""
Retrieve = Callable[[str, int], Sequence[str]]
"""A question and k to contexts, best first."""
AT_ONCE = 64
DEPTH = 10
"""Contexts that are retrieved to find a wrong one among them."""


@dataclass(frozen=True)
class Question:
    """`answers` is empty where the context has none. Questions of one `group` share an article."""

    question: str
    context: str
    answers: tuple[str, ...]
    group: str


@dataclass(frozen=True)
class _Row:
    """What came of one question: F1 and exact match of the best answer, and with the right to withhold it."""

    question: Question
    score: float
    best: tuple[float, float]
    overall: tuple[float, float]
    is_given: bool


def load_questions(path: Path) -> list[Question]:
    """Rows with `question`, `context`, `answers` (texts, or objects with `text`); `title`, `is_impossible` where there are any.

    Raises: InvalidInput naming the first row that does not fit.
    """
    found = [_question(row, number, path) for number, row in enumerate(read_rows(path, ("question", "context")), 1)]
    if not found:
        raise InvalidInput(f"{path} holds no question.", field="data")
    return found


def read_all(
    questions: Sequence[Question], read: Read, report: Callable[[int], None] = lambda _: None
) -> list[tuple[str, float]]:
    """The best answer to each question in its context, with its score."""
    return list(_read(read, [(q.question, q.context) for q in questions], report))


def measure(questions: Sequence[Question], found: Sequence[tuple[str, float]], threshold: float) -> dict[str, Any]:
    """F1 and exact match when it must answer (answerable questions), and overall, where a score below the threshold is no answer."""
    rows = []
    for question, (answer, score) in zip(questions, found, strict=True):
        is_given = score >= threshold
        best = _agreement(answer, question.answers) if question.answers else (0.0, 0.0)
        right_to_withhold = float(not question.answers)
        overall = best if is_given else (right_to_withhold, right_to_withhold)
        rows.append(_Row(question, score, best, overall, is_given))
    answerable = [row for row in rows if row.question.answers]
    unanswerable = [row for row in rows if not row.question.answers]
    return {
        "threshold": round(threshold, 4),
        "f1_answerable": _clustered(answerable, lambda row: row.best[0]),
        "exact_answerable": _clustered(answerable, lambda row: row.best[1]),
        "f1_overall": _clustered(rows, lambda row: row.overall[0]),
        "exact_overall": _clustered(rows, lambda row: row.overall[1]),
        "withheld_unanswerable": _clustered(unanswerable, lambda row: not row.is_given),
        "withheld_answerable": _clustered(answerable, lambda row: not row.is_given),
        "auroc_answerable": auroc([row.score for row in answerable], [row.score for row in unanswerable]),
    }


def passage_auroc(
    questions: Sequence[Question],
    found: Sequence[tuple[str, float]],
    read: Read,
    retrieve: Retrieve,
    report: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """How well the score tells the right context from the best retrieved one that does not hold the answer."""
    right, pairs = [], []
    for question, (_, score) in zip(questions, found, strict=True):
        if question.answers and (wrong := wrong_context(question, retrieve(question.question, DEPTH))):
            right.append(score)
            pairs.append((question.question, wrong))
    wrong_scores = [score for _, score in _read(read, pairs, report)]
    return {"n_pairs": len(pairs), "auroc_passage": auroc(right, wrong_scores)}


def wrong_context(question: Question, contexts: Sequence[str]) -> str | None:
    """The first of the retrieved contexts that is another one and holds none of the answers."""
    held = [normalised(answer) for answer in question.answers]
    for context in contexts:
        text = f" {normalised(context)} "
        if context != question.context and not any(f" {answer} " in text for answer in held):
            return context
    return None


def _read(read: Read, pairs: Sequence[tuple[str, str]], report: Callable[[int], None]) -> Iterator[tuple[str, float]]:
    for start in range(0, len(pairs), AT_ONCE):
        yield from read(pairs[start : start + AT_ONCE])
        report(min(start + AT_ONCE, len(pairs)))


def _agreement(answer: str, golds: Sequence[str]) -> tuple[float, float]:
    f1 = max(token_scores(answer, gold)[0] for gold in golds)
    return f1, float(any(normalised(answer) == normalised(gold) for gold in golds))


def _clustered(rows: Sequence[_Row], value: Callable[[_Row], float]) -> dict[str, Any] | None:
    """The mean over rows in percent, articles resampled."""
    if not rows:
        return None
    totals: dict[str, list[float]] = {}
    for row in rows:
        total = totals.setdefault(row.question.group, [0.0, 0.0])
        total[0] += 100 * value(row)
        total[1] += 1
    sums = np.asarray(list(totals.values()))
    drawn = resampled(sums)
    mean = float(sums[:, 0].sum() / sums[:, 1].sum())
    return {"value": round(mean, 2), "interval_95": percentiles(drawn[:, 0] / drawn[:, 1]), "n": len(rows)}


def _question(row: Mapping[str, Any], number: int, path: Path) -> Question:
    given = row.get("answers") or []
    texts = given.get("text", []) if isinstance(given, Mapping) else given
    answers = [text.get("text", "") if isinstance(text, Mapping) else text for text in texts]
    if row.get("is_impossible"):
        answers = []
    values = [row["question"], row["context"], *answers]
    if not all(isinstance(value, str) and value.strip() for value in values[:2]) or not all(
        isinstance(answer, str) for answer in answers
    ):
        raise InvalidInput(
            f"{path}, row {number}: `question` and `context` must hold text, `answers` texts or objects with `text`.",
            field="data",
        )
    group = str(row.get("title") or row.get("context_id") or row["context"][:80])
    return Question(row["question"].strip(), row["context"], tuple(a for a in answers if a.strip()), group)
