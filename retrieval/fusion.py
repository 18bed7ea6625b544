"""Joins the lexical and the dense ranking into one. Pure: knows neither indexes nor models.

Every candidate has both scores, also where only one of the searches found it. The fused score is their convex
combination, BM25 as a share of the best BM25 and the cosine as it is (theoretical minima of 0: Bruch et al. 2023,
arXiv:2210.11934, section 4). How the two are weighed is decided per query, by how far the top of each list stands out;
docs/decisions/0004-fusion.md says how the numbers were found and what else was tried.
"""

import math
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field

Ranked = list[tuple[int, float]]
Scores = Mapping[int, float]
LEAD_RANK = 11
"""A list's lead is how far its first score is above this rank's."""
SCORE_DECIMALS = 6
MARGIN = 1e-3
"""Contenders may lie this far below what is needed: scores are rounded, and the two searches add up in orders of their own."""


class FusionConfig(BaseModel):
    """Learned on fourteen collections with the built-in encoder; another encoder's cosines may want other numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bias: float = 0.3
    """Logarithm of the cosine's weight before the three below are added. The weight is counted in units of the square root
    of the best BM25 score, half-way between the score itself and its share of the best."""
    dense_level: float = 4.5
    """How much a high best cosine speaks for the dense list: the encoder knows what the question is about."""
    dense_lead: float = 6.0
    """How much the lead of the dense list, in cosine, speaks for it."""
    lexical_lead: float = 3.5
    """How much the lead of the lexical list, as a share of its best score, speaks against the dense one."""
    least: float = Field(3.0, gt=0)
    """The cosine's weight is at least this ..."""
    most: float = Field(60.0, gt=0)
    """... and at most this."""


def fuse(
    lexical: Scores, dense: Scores, *, among: Iterable[int] | None = None, config: FusionConfig | None = None
) -> Ranked:
    """Return the union of the candidates with fused scores up to 1, best first, equal scores by chunk id.

    `lexical` are BM25 scores, absent for a chunk that shares no term with the question; `dense` are cosines. `among`: only
    these are ranked; the others count for the weights alone.
    """
    share = dense_share(lexical, dense, config or FusionConfig())
    best = max(lexical.values(), default=0.0) or 1.0
    fused = {
        chunk: round((1 - share) * lexical.get(chunk, 0.0) / best + share * dense.get(chunk, 0.0), SCORE_DECIMALS)
        for chunk in ({**lexical, **dense} if among is None else among)
    }
    return sorted(fused.items(), key=lambda hit: (-hit[1], hit[0]))


def contenders(lexical: Scores, dense: Scores, k: int, config: FusionConfig) -> list[int]:
    """Return the candidates that can be among the first `k` once each has both scores.

    `lexical` and `dense` are what the two searches found: a chunk that one of them lacks has no better score there than the
    last that it found. Most candidates of the other search cannot get far with so little, and need not be scored.
    """
    share = dense_share(lexical, dense, config)
    words = (1 - share) / (max(lexical.values(), default=0.0) or 1.0)
    last_words, last_cosine = (
        words * min(lexical.values(), default=0.0),
        share * max(min(dense.values(), default=0.0), 0.0),
    )
    at_least, at_most = [], {}
    for chunk in {**lexical, **dense}:
        known = words * lexical.get(chunk, 0.0) + share * dense.get(chunk, 0.0)
        at_most[chunk] = known + (0.0 if chunk in dense else last_cosine) + (0.0 if chunk in lexical else last_words)
        at_least.append(known if chunk in dense else known - share)
    needed = sorted(at_least)[-k] if k < len(at_least) else -math.inf
    return [chunk for chunk, score in at_most.items() if score >= needed - MARGIN]


def dense_share(lexical: Scores, dense: Scores, config: FusionConfig) -> float:
    """Return the dense score's part of the fused one, 0 to 1, for one query."""
    if not dense or not any(lexical.values()):
        return float(bool(dense))
    words, cosines = _first_and_lead(lexical), _first_and_lead(dense)
    evidence = (
        config.bias
        + config.dense_level * cosines[0]
        + config.dense_lead * cosines[1]
        - config.lexical_lead * words[1] / words[0]
    )
    weight = min(max(math.exp(evidence), config.least), config.most)
    return weight / (weight + math.sqrt(words[0]))


def _first_and_lead(scores: Scores) -> tuple[float, float]:
    """The best score, and by how much it exceeds that of rank `LEAD_RANK` (0 where there are fewer)."""
    ranked = sorted(scores.values(), reverse=True)
    follower = ranked[LEAD_RANK - 1] if len(ranked) >= LEAD_RANK else 0.0
    return ranked[0], ranked[0] - follower
