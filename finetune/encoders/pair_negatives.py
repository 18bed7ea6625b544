"""Hard negatives: texts that share words with the query and do not answer it. Knows no model.

A text is never a negative for a query that it answers, in any row of that query; nor one that nearly equals the positive.
"""

import random
from collections import defaultdict
from collections.abc import Sequence

from finetune.encoders.built_rows import BuiltRow
from finetune.encoders.lexical_index import LexicalIndex
from finetune.overlap import grams
from finetune.rows import normalised

ALIKE = 0.8
"""A candidate that shares this much of its 5-grams with a right text is taken to be right too."""
OVERSAMPLED = 3


def hard_negatives(rows: Sequence[BuiltRow], n: int, depth: int, seed: int) -> list[tuple[str, ...]]:
    """For each row `n` negatives: its own first, then drawn from the `depth` nearest texts, then from any. Fewer only where the
    whole corpus has no more."""
    if not n:
        return [() for _ in rows]
    corpus = list(dict.fromkeys(row.fields["positive"] for row in rows))
    right: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        right[normalised(row.fields["query"])].add(normalised(row.fields["positive"]))
    near = LexicalIndex(corpus).search([row.fields["query"] for row in rows], depth) if len(corpus) > 1 else []
    rng = random.Random(seed)
    found = []
    for i, row in enumerate(rows):
        answers = right[normalised(row.fields["query"])]
        own = rng.sample(row.fields["negatives"], len(row.fields["negatives"]))
        mined = [corpus[j] for j in rng.sample(near[i], len(near[i]))] if near else []
        any_text = [corpus[rng.randrange(len(corpus))] for _ in range(n * OVERSAMPLED)]
        found.append(_first_wrong([*own, *mined, *any_text], row.fields["positive"], answers, n))
    return found


def _first_wrong(candidates: Sequence[str], positive: str, answers: set[str], n: int) -> tuple[str, ...]:
    chosen: dict[str, str] = {}
    told = grams(positive)
    for text in candidates:
        key = normalised(text)
        if key in answers or key in chosen:
            continue
        own = grams(text)
        if own and len(own & told) >= ALIKE * min(len(own), len(told)):
            continue
        chosen[key] = text
        if len(chosen) == n:
            break
    return tuple(chosen.values())
