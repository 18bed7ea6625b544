"""What a question's words say: how much of them each candidate holds, whether they tell candidates apart, whether it is a question.

Knows no indexes. Every measure is relative to the candidates at hand, so that none needs the collection.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.lexical_analysis import document_analyser, query_weights

Floats = NDArray[np.float64]
GAP_RANK = 11
"""Words single candidates out by how much more of the question the best holds than the eleventh."""
EVEN_GAP, STEEPNESS = 0.2, 15.0


def coverage(question: str, texts: Sequence[str]) -> Floats:
    """The share of the question's words that each text holds, 0 to 1.

    A word counts by how rare it is among the texts; function words count a fraction.
    """
    analyse = document_analyser().analyze
    weights = query_weights(question)
    found = [weights.keys() & analyse(_clean(text)) for text in texts]
    known = Counter(word for words in found for word in words)
    worth = {w: min(x, 1.0) * math.log(1 + len(texts) / (0.5 + known[w])) for w, x in weights.items()}
    whole = sum(worth.values()) or 1.0
    return np.array([sum(worth[w] for w in sorted(words)) for words in found], np.float64) / whole


def pointedness(covered: Floats) -> float:
    """Whether the question points at single candidates (1) or is about what many of them are about (0)."""
    if not len(covered):
        return 0.0
    ranked = np.sort(covered)[::-1]
    gap = float(ranked[0] - ranked[min(GAP_RANK, len(ranked)) - 1])
    return 1 / (1 + math.exp(-STEEPNESS * (gap - EVEN_GAP)))


def is_question(text: str) -> bool:
    """Whether something is asked, rather than claimed or named."""
    first = re.search(r"[^\W\d_]+", text)
    return "?" in text or (first is not None and first[0].lower() in _openers())


@cache
def _openers() -> frozenset[str]:
    lines = (Path(__file__).parent / "question_openers_english.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
