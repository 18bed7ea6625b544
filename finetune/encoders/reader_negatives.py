"""Questions with paragraphs that do not answer them: of the same article, as retrieval would err, or edited. Knows no model.

Of a question as it was asked, a paragraph that holds any of the answers' texts is never a negative. Both ends come from one side of the split.
"""

import dataclasses
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

from finetune.encoders.built_rows import BuiltRow
from finetune.encoders.lexical_index import LexicalIndex
from finetune.encoders.question_edits import unanswerable_question
from finetune.rows import normalised

DEPTH = 20
"""Retrieved paragraphs that are looked through for one that does not hold the answer."""


def article_negatives(rows: Sequence[BuiltRow], per_question: float, seed: int) -> list[BuiltRow]:
    """Another paragraph of the same article, for `per_question` of the answerable questions (2.0: two each)."""
    contexts: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for row in _gold(rows):
        if row.fields["context"] not in contexts[row.groups]:
            contexts[row.groups].append(row.fields["context"])
    rng = random.Random(seed)
    made = []
    for row, n in _drawn(rows, per_question, rng):
        others = [c for c in contexts[row.groups] if c != row.fields["context"] and not holds_answer(c, row)]
        made += [unanswerable(row, c, "article") for c in rng.sample(others, min(n, len(others)))]
    return made


def retrieved_negatives(rows: Sequence[BuiltRow], per_question: float, seed: int) -> list[BuiltRow]:
    """The paragraphs most alike by words that are not the right one, for `per_question` of the answerable questions."""
    contexts = list(dict.fromkeys(row.fields["context"] for row in _gold(rows)))
    drawn = list(_drawn(rows, per_question, random.Random(seed)))
    if len(contexts) < 2 or not drawn:
        return []
    ranked = LexicalIndex(contexts).search([row.fields["question"] for row, _ in drawn], DEPTH)
    made = []
    for (row, n), found in zip(drawn, ranked, strict=True):
        wrong = [
            contexts[i] for i in found if contexts[i] != row.fields["context"] and not holds_answer(contexts[i], row)
        ]
        made += [unanswerable(row, context, "retrieved") for context in wrong[:n]]
    return made


def edited_negatives(rows: Sequence[BuiltRow], per_question: float, seed: int) -> list[BuiltRow]:
    """Questions edited until their own paragraph does not answer them, for `per_question` of the answerable questions."""
    contexts: dict[tuple[str, ...], dict[str, None]] = defaultdict(dict)
    for row in _gold(rows):
        contexts[row.groups][row.fields["context"]] = None
    rng = random.Random(seed)
    made = []
    for row, n in _drawn(rows, per_question, rng):
        context, (span, *_) = row.fields["context"], row.fields["spans"]
        others = [c for c in contexts[row.groups] if c != context]
        edits = (unanswerable_question(row.fields["question"], context, span, others, rng) for _ in range(n))
        for question in dict.fromkeys(filter(None, edits)):
            edited = unanswerable(row, context, "edited")
            made.append(dataclasses.replace(edited, fields={**edited.fields, "question": question}))
    return made


def holds_answer(context: str, row: BuiltRow) -> bool:
    """Whether any of the answers' texts stands in `context`, whatever its case."""
    text = normalised(context)
    return any(normalised(answer) in text for answer in row.fields["answers"])


def unanswerable(row: BuiltRow, context: str, made: str) -> BuiltRow:
    """The row's question with a context that does not answer it."""
    fields = {**row.fields, "context": context, "spans": (), "answers": (), "made": made}
    return dataclasses.replace(row, where=f"{row.where}+{made}", fields=fields)


def _gold(rows: Sequence[BuiltRow]) -> Iterator[BuiltRow]:
    return (row for row in rows if not row.is_weak)


def _drawn(rows: Sequence[BuiltRow], per_question: float, rng: random.Random) -> Iterator[tuple[BuiltRow, int]]:
    whole, part = divmod(per_question, 1)
    for row in _gold(rows):
        if row.fields["answers"]:
            n = int(whole) + (rng.random() < part)
            if n:
                yield row, n
