"""What tells a supported sentence besides a model trained to tell it: how much of its meaning its source holds, and how both are made.

Pure functions of words and of token states. Training fits what each sign is worth (`beside` in a grounding adapter's head_config.json),
serving weighs them: on texts of a kind that an adapter never saw it alone knows less than token recall, which was trained on none.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from data.words import LOWER, NEGATION, OPPOSITE, numbers, stems

ODDS, RECALL, CONSTANT = "odds", "recall", "constant"
"""The adapter's log-odds, token recall, and what is added whatever the texts are."""
MOST_WORDS, MOST_LACKING = 20, 8
"""More of a hypothesis' words are not counted: what was fitted on sentences would run away on paragraphs."""


def signs(premise: str, read: str, hypothesis: str) -> dict[str, float]:
    """Of a hypothesis and the part of its premise that is `read`, by name.

    Meaning-bearing words of either, and of the hypothesis those that the premise lacks, up to a number; logarithms of characters; 0 or 1 for a number that
    only the hypothesis has, for a word that stands there as its opposite, and for one of the two negating.
    """
    said, told = set(stems(hypothesis)), set(stems(read))
    words, found = set(LOWER.findall(hypothesis.lower())), set(LOWER.findall(read.lower()))
    return {
        "words": min(len(said), MOST_WORDS),
        "premise_words": len(told),
        "lacking": min(len(said - told), MOST_LACKING),
        "length": math.log1p(len(hypothesis)),
        "premise_length": math.log1p(len(premise)),
        "numbers": float(not numbers(hypothesis) <= numbers(read)),
        "opposites": float(any(OPPOSITE.get(word) in found and word not in found for word in words)),
        "negation": float(bool(NEGATION.search(hypothesis)) != bool(NEGATION.search(read))),
    }


def token_recall(hypothesis: NDArray[np.float32], premise: NDArray[np.float32]) -> float:
    """The mean over the hypothesis' token states [tokens, hidden] of the cosine to the nearest of the premise's; 0 where either has none.

    BERTScore's recall (Zhang et al. 2020, arXiv:1904.09675, equation 1), without weights.
    """
    if not len(hypothesis) or not len(premise):
        return 0.0
    return float((_unit(hypothesis) @ _unit(premise).T).max(1).mean())


def log_odds(probability: float) -> float:
    """Of what is neither certain nor impossible: clipped at a millionth."""
    p = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def weighed(worth: Mapping[str, float], found: Mapping[str, float]) -> float:
    """Log-odds that the premise supports the hypothesis: the constant, and what each sign found is worth."""
    return worth.get(CONSTANT, 0.0) + sum(worth.get(name, 0.0) * value for name, value in found.items())


def _unit(states: NDArray[np.float32]) -> NDArray[np.float32]:
    return states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-9)
