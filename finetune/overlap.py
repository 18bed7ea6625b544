"""Which texts are the same, or nearly: equal up to case and whitespace, or sharing most of their word 5-grams. Exact, no sketches.

An inverted index of 5-grams keeps it linear for texts that share little: 10k rows against 10k take about a second.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from finetune.rows import normalised

N = 5
FEW = 4
"""A text of fewer 5-grams than this is not looked for inside a longer one: anything holds "how do I reset my"."""
COMMON = 200
"""A 5-gram that more rows have is boilerplate: it proposes pairs only where a held-out text has hardly any other."""
_IDEOGRAPH = r"\u3040-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[^\W{_IDEOGRAPH}]+|[{_IDEOGRAPH}]")


@dataclass(frozen=True)
class Match:
    """`a` and `b` index the two lists; `share` is 1 for texts equal up to case and whitespace."""

    a: int
    b: int
    share: float

    @property
    def is_exact(self) -> bool:
        return self.share == 1.0


def grams(text: str) -> frozenset[tuple[str, ...]]:
    """The word 5-grams of a text; a shorter one is a single gram."""
    words = _WORD.findall(text.casefold())
    if not words:
        return frozenset()
    return frozenset(tuple(words[i : i + N]) for i in range(max(1, len(words) - N + 1)))


def repeats(texts: Sequence[str]) -> list[tuple[int, int]]:
    """(later, first) for every text that equals an earlier one up to case and whitespace."""
    first: dict[str, int] = {}
    return [(i, j) for i, text in enumerate(texts) if (j := first.setdefault(normalised(text), i)) != i]


def matches(asked: Sequence[str], told: Sequence[str], held_out: Sequence[str], least: float = 0.8) -> list[Match]:
    """The best match of each held-out text among the training rows, if it shares `least` of its 5-grams or more.

    `asked` is what each training row asks, `told` the same with its answer: a held-out question may hide in either.
    """
    exact = {normalised(text): i for i, text in reversed(list(enumerate(asked)))}
    exact |= {key: i for i, text in reversed(list(enumerate(told))) if (key := normalised(text)) not in exact}
    index = _GramIndex(asked, told)
    found = []
    for j, text in enumerate(held_out):
        if not text.strip():
            continue
        if (i := exact.get(normalised(text))) is not None:
            found.append(Match(i, j, 1.0))
        elif (best := index.best(grams(text), least)) and best[1] >= least:
            found.append(Match(best[0], j, min(best[1], 0.999)))
    return found


class _GramIndex:
    def __init__(self, asked: Sequence[str], told: Sequence[str]) -> None:
        self._asked = [grams(text) for text in asked]
        self._told = [grams(text) | own for text, own in zip(told, self._asked, strict=True)]
        self._holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for i, own in enumerate(self._told):
            for gram in own:
                self._holders[gram].append(i)

    def best(self, wanted: frozenset[tuple[str, ...]], least: float) -> tuple[int, float] | None:
        """The row that shares most with `wanted`, and how much: of the held-out text, or of what the row asks."""
        rare_first = sorted(wanted, key=lambda gram: len(self._holders.get(gram, ())))
        n_sure = int((1 - least) * len(wanted)) + 1  # who shares `least` of them has one of any so many (prefix filter)
        candidates: set[int] = set()
        for rank, gram in enumerate(rare_first):
            holders = self._holders.get(gram, ())
            if rank < n_sure or len(holders) <= COMMON:
                candidates.update(holders)
        scored = [(max(len(self._told[i] & wanted) / len(wanted), self._of_asked(i, wanted)), -i) for i in candidates]
        if not scored:
            return None
        share, i = max(scored)
        return -i, share

    def _of_asked(self, i: int, wanted: frozenset) -> float:
        own = self._asked[i]
        return len(own & wanted) / len(own) if len(own) >= FEW else 0.0
