"""How much of a hypothesis' meaning its premise holds, by the encoder that no adapter changed; and how that is weighed with what one says.

Training says what both are worth (`beside` in a grounding adapter's head_config.json), serving weighs them: on texts of a kind that an
adapter never saw it alone knows less than token recall, which was trained on none.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def token_recall(hypothesis: NDArray[np.float32], premise: NDArray[np.float32]) -> float:
    """The mean over the hypothesis' token states [tokens, hidden] of the cosine to the nearest of the premise's; 0 where either has none.

    BERTScore's recall (Zhang et al. 2020, arXiv:1904.09675, equation 1), without weights.
    """
    if not len(hypothesis) or not len(premise):
        return 0.0
    return float((_unit(hypothesis) @ _unit(premise).T).max(1).mean())


def weighed(worth: Mapping[str, float], probability: float, recall: float) -> float:
    """The probability that a premise supports a hypothesis, of the adapter's own and token recall: logistic in its log-odds and recall."""
    return 1 / (1 + math.exp(-(worth["constant"] + worth["odds"] * log_odds(probability) + worth["recall"] * recall)))


def log_odds(probability: float) -> float:
    """Of what is neither certain nor impossible: clipped at a millionth."""
    p = min(max(probability, 1e-6), 1 - 1e-6)
    return math.log(p / (1 - p))


def _unit(states: NDArray[np.float32]) -> NDArray[np.float32]:
    return states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-9)
