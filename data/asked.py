"""What a question asks for that does not stand around the place where its answer was found. Knows no model.

Training fits what each kind is worth (`missing` in a reader's head_config.json), serving takes it off the span's score: a small encoder
sees that a paragraph is about what was asked and misses that it speaks of another year.
"""

import re
from collections.abc import Mapping, Sequence

from data.sentences import sentence_spans
from data.words import NAME, OPPOSITE, numbers, stems

KINDS = ("words", "names", "numbers", "opposites")
LOWER = re.compile(r"[a-z]+")


def missing(question: str, context: str, start: int) -> tuple[float, float, float, float]:
    """In the order of `KINDS`; `start` is where the answer begins in `context`.

    Of the question's meaning-bearing words the share that the answer's sentence lacks; how many of its names and numbers are in none of
    the sentences beside it either; how many of its words have their opposite in that sentence instead.
    """
    spans = list(sentence_spans(context)) or [(0, len(context))]
    at = next((i for i, (_, end) in enumerate(spans) if start < end), len(spans) - 1)
    sentence = context[slice(*spans[at])]
    near = context[spans[max(0, at - 1)][0] : spans[min(len(spans) - 1, at + 1)][1]]
    asked, held = set(stems(question)), set(stems(sentence))
    words, found = LOWER.findall(question.lower()), set(LOWER.findall(sentence.lower()))
    return (
        len(asked - held) / max(len(asked), 1),
        float(sum(m[0].casefold() not in near.casefold() for m in NAME.finditer(question) if m.start())),
        float(len(numbers(question) - numbers(near))),
        float(sum(OPPOSITE.get(word) in found and word not in found for word in words)),
    )


def taken_off(worth: Mapping[str, float], lacks: Sequence[float]) -> float:
    """What a score loses: `worth` by kind, `lacks` as `missing` gives them."""
    return sum(worth.get(kind, 0.0) * n for kind, n in zip(KINDS, lacks, strict=True))
