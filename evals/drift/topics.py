"""Which questions are new, in clusters that have names: what a person needs to see behind a number. Knows vectors and words, no index."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.words import FUNCTION_WORDS
from evals.drift.features import Matrix

WORD = re.compile(r"[^\W\d_][\w'’-]+")
ALIKE = 0.45
"""Cosine to a cluster's centre from which a question belongs to it."""
MERGE = 0.5
"""Cosine of two centres from which they are one topic."""
FEWEST = 3
"""Questions that make a cluster."""
N_TERMS = 4
N_EXAMPLES = 3
BANK = 5000
NEIGHBOURS = 3


@dataclass(frozen=True)
class Topic:
    """Questions of a window that are alike. `rows` are their places in the window."""

    rows: NDArray[np.int64]
    centre: Matrix
    terms: tuple[str, ...]
    examples: tuple[str, ...]


class Novelty:
    """One less the mean cosine to the nearest few of the reference's questions, which are a bank of at most `BANK`."""

    def __init__(self, bank: Matrix, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(len(bank), BANK, replace=False)) if len(bank) > BANK else np.arange(len(bank))
        self._bank = bank[rows]

    def __call__(self, questions: Matrix) -> NDArray[np.float64]:
        """float64 [n]; NaN for a question without a vector."""
        out = np.empty(len(questions))
        k = min(NEIGHBOURS, len(self._bank))
        for at in range(0, len(questions), 512):
            similar = questions[at : at + 512] @ self._bank.T
            out[at : at + 512] = 1 - np.partition(similar, -k, axis=1)[:, -k:].mean(axis=1)
        return out


def topics(
    vectors: Matrix, questions: Sequence[str], rows: NDArray[np.int64], usual: Counter, n_usual: int
) -> list[Topic]:
    """Cluster the questions at `rows` (leader clustering, then one pass of means), largest first."""
    if len(rows) == 0:
        return []
    part = vectors[rows]
    centres = _leaders(part)
    for step in range(3):
        nearest = (part @ centres.T).argmax(axis=1)
        means = np.stack(
            [part[nearest == k].mean(axis=0) if (nearest == k).any() else centres[k] for k in range(len(centres))]
        )
        centres = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
        centres = _merged(centres, np.bincount(nearest, minlength=len(centres))) if step == 0 else centres
    similar = part @ centres.T
    nearest, best = similar.argmax(axis=1), similar.max(axis=1)
    found = []
    for k in range(len(centres)):
        inside = np.flatnonzero((nearest == k) & (best >= ALIKE))
        if len(inside) >= FEWEST:
            ordered = inside[np.argsort(-similar[inside, k], kind="stable")]
            texts = [questions[rows[i]] for i in ordered]
            shown = tuple(dict.fromkeys(text for text in texts if text))[:N_EXAMPLES]
            found.append(Topic(rows[np.sort(inside)], centres[k], tuple(terms(texts, usual, n_usual)), shown))
    return sorted(found, key=lambda topic: -len(topic.rows))


def _merged(centres: Matrix, sizes: NDArray[np.int64]) -> Matrix:
    """The two centres that are most alike become one, until none are alike: few topics with names, not many splinters."""
    kept = [(centre * size, size) for centre, size in zip(centres, sizes, strict=True) if size]
    while len(kept) > 1:
        unit = np.stack([total / np.linalg.norm(total) for total, _ in kept])
        similar = unit @ unit.T - 2 * np.eye(len(unit), dtype=np.float32)
        a, b = sorted(divmod(int(similar.argmax()), len(unit)))
        if similar[a, b] < MERGE:
            break
        total, size = kept.pop(b)
        kept[a] = (kept[a][0] + total, kept[a][1] + size)
    return np.stack([total / np.linalg.norm(total) for total, _ in kept])


def _leaders(part: Matrix) -> Matrix:
    """Each question that is like no leader so far becomes one; at most 64."""
    leaders = [part[0]]
    for row in part[1:]:
        if len(leaders) < 64 and max(float(row @ leader) for leader in leaders) < ALIKE:
            leaders.append(row)
    return np.stack(leaders)


def terms(texts: Sequence[str], usual: Counter, n_usual: int, n: int = N_TERMS) -> list[str]:
    """Words that are much more frequent here than usual: log-odds with an informative prior, over its spread.

    Monroe, Colaresi and Quinn, "Fightin' Words" (Political Analysis 2008), equations 16 and 22; the prior is the usual frequency.
    """
    here = word_counts(texts)
    n_here, prior_total = sum(here.values()), 100.0
    scored = []
    for word, count in here.items():
        prior = prior_total * (usual[word] + 0.5) / (n_usual + 1)
        ours = np.log((count + prior) / (n_here + prior_total - count - prior))
        theirs = np.log((usual[word] + prior) / (n_usual + prior_total - usual[word] - prior))
        scored.append(((ours - theirs) / np.sqrt(1 / (count + prior) + 1 / (usual[word] + prior)), count, word))
    return [word for _, _, word in sorted(scored, key=lambda s: (-s[0], s[2]))[:n]]


def word_counts(texts: Sequence[str]) -> Counter:
    """In how many texts each word stands, function words left out."""
    found: Counter = Counter()
    for text in texts:
        found.update({word for word in WORD.findall(text.lower()) if word not in FUNCTION_WORDS})
    return found
