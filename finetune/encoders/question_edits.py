"""Questions turned into ones that their context does not answer, as the writers of SQuAD 2.0 turned theirs: by another name, another
number, an opposite or a negation (Rajpurkar et al. 2018, arXiv:1806.03822, table 1). Sentences turned into ones that it does not support,
by the same means and by names that change places (Kryscinski et al. 2020, arXiv:1910.12840). Rules; knows no model.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from data.sentences import sentence_spans
from data.words import NAME, OPPOSITE

NUMBER = re.compile(r"\b\d[\d.,]*\d\b|\b\d\b")
"""A number that stands as a word, so that another can stand for it."""
AUXILIARY = re.compile(r"\b(?:did|was|is|are|were|does|do|can|could|has|have|had|will|would)\b")
NEGATED = {"can": "can't", "will": "won't"}
"""The others take "n't" at their end. A contraction stands wherever its verb stood; "not" would not."""
NEGATIONS = 0.1
"""The share of questions that are negated. A negation gives itself away, so few are."""


def unanswerable_question(
    question: str, context: str, answer: tuple[int, int], others: Sequence[str], rng: random.Random
) -> str | None:
    """`question` with one edit, so that `context` no longer answers it; None where no rule applies.

    `answer` is its place in `context`. `others` are texts of the same document, whose names and numbers serve where the context has none.
    """
    if rng.random() < NEGATIONS:
        return _negated(question)
    sentence = next((context[s:e] for s, e in sentence_spans(context) if s <= answer[0] < e), "")
    beside = f"{sentence}\n{context[slice(*answer)]}"
    ways: list[Callable[[], str | None]] = [
        lambda: _swapped(NAME, question, beside, (context, *others), rng),
        lambda: _swapped(NUMBER, question, beside, (context, *others), rng),
        lambda: _opposite(question, rng),
    ]
    rng.shuffle(ways)
    return next((edited for way in ways if (edited := way()) is not None), None)


def unsupported_sentence(sentence: str, context: str, others: Sequence[str], rng: random.Random) -> str | None:
    """`sentence` of `context` with one edit, so that it no longer says what is there; None where no rule applies."""
    if rng.random() < NEGATIONS:
        return _negated(sentence)
    ways: list[Callable[[], str | None]] = [
        lambda: _swapped(NAME, sentence, "", (context, *others), rng),
        lambda: _swapped(NUMBER, sentence, "", (context, *others), rng),
        lambda: _exchanged(sentence, rng),
        lambda: _opposite(sentence, rng),
    ]
    rng.shuffle(ways)
    return next((edited for way in ways if (edited := way()) is not None), None)


def _exchanged(sentence: str, rng: random.Random) -> str | None:
    """Two names in each other's place: "Rollo's son attacked Paris" to "Paris's son attacked Rollo"; not those of one list."""
    names = [m for m in NAME.finditer(sentence) if m.start() or " " in m[0]]
    pairs = [(a, b) for a, b in pairwise(names) if len(re.findall(r"[a-z]+", sentence[a.end() : b.start()])) > 1]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    return f"{sentence[: a.start()]}{b[0]}{sentence[a.end() : b.start()]}{a[0]}{sentence[b.end() :]}"


def _swapped(what: re.Pattern[str], question: str, beside: str, texts: Sequence[str], rng: random.Random) -> str | None:
    """A name (number) that the question shares with the first of `texts`, replaced by another of the same form: of that text, else of the others.

    What stands `beside` the answer would leave the question half answered, so it is not taken.
    """
    context, *others = texts
    shared = [m for m in what.finditer(question) if m.start() and m[0] in context]
    if not shared:
        return None
    match = rng.choice(shared)
    for side in ([context], others):
        found = sorted({m for text in side for m in _inner(what, text)} - {match[0]})
        fit = [m for m in found if _form(m) == _form(match[0]) and m not in beside and m not in question]
        if fit:
            return question[: match.start()] + rng.choice(fit) + question[match.end() :]
    return None


def _inner(what: re.Pattern[str], text: str) -> Iterator[str]:
    """Matches that do not begin a sentence, where anything has a capital."""
    starts = {start for start, _ in sentence_spans(text)}
    return (m[0] for m in what.finditer(text) if m.start() not in starts)


def _form(text: str) -> str:
    """Digits alike, words alike: 1984 is like 1066, and New York like Los Angeles."""
    return re.sub(r"\d", "0", text) if text[0].isdigit() else " " * text.count(" ")


def _opposite(question: str, rng: random.Random) -> str | None:
    found = [m for m in re.finditer(r"[a-z]+", question) if m[0] in OPPOSITE]
    if not found:
        return None
    match = rng.choice(found)
    return question[: match.start()] + OPPOSITE[match[0]] + question[match.end() :]


def _negated(question: str) -> str | None:
    match = AUXILIARY.search(question)
    if match is None or re.search(r"\b(?:not?|never|none)\b|n't", question):
        return None
    return question[: match.start()] + NEGATED.get(match[0], f"{match[0]}n't") + question[match.end() :]
