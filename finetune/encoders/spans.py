"""Where an answer lies in tokens, and which tokens are the answer: windows, targets, the best span. Knows no weights.

No answer is the span at [CLS] (Devlin et al. 2019, arXiv:1810.04805, section 4.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

OUTSIDE, POSSIBLE, RIGHT = 0, 1, 2
"""What a token can be as a start or an end: not one at all, one, the right one."""
LONGEST_QUESTION = 64
"""Tokens of a question that are read."""


@dataclass(frozen=True)
class Window:
    """A question with a stretch of its context. `offsets` are the characters of the context's tokens, `first` the first of them."""

    input_ids: tuple[int, ...]
    token_type_ids: tuple[int, ...]
    first: int
    offsets: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Span:
    """Characters of the context, and how much better than no answer they are (difference of summed logits)."""

    start: int
    end: int
    score: float


def windows(
    tokenizer: PreTrainedTokenizerBase, question: str, context: str, *, max_length: int, stride: int
) -> list[Window]:
    """The question with each stretch of the context that fits; neighbours overlap by `stride` tokens."""
    asked = tokenizer(question, add_special_tokens=False, truncation=True, max_length=LONGEST_QUESTION)["input_ids"]
    told = tokenizer(context, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ids, offsets = told["input_ids"], [tuple(pair) for pair in told["offset_mapping"]]
    room = max(1, max_length - len(asked) - 3)
    step = max(1, room - min(stride, room // 2))
    starts = [0]
    while starts[-1] + room < len(ids):
        starts.append(starts[-1] + step)
    first = len(asked) + 2
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    return [
        Window(
            (cls, *asked, sep, *ids[at : at + room], sep),
            (0,) * first + (1,) * (len(ids[at : at + room]) + 1),
            first,
            tuple(offsets[at : at + room]),
        )
        for at in starts
    ]


def target_labels(window: Window, spans: Sequence[tuple[int, int]], *, is_weak: bool) -> NDArray[np.int8]:
    """[tokens, 2] of OUTSIDE, POSSIBLE and RIGHT, for starts and for ends.

    A span that does not lie in the window as a whole is no answer there. A weak span holds the answer somewhere: every token in it
    may be its start or its end.
    """
    n = len(window.input_ids)
    labels = np.full((n, 2), OUTSIDE, np.int8)
    labels[window.first : n - 1] = POSSIBLE
    labels[0] = POSSIBLE
    inside = [found for span in spans if (found := token_span(window, span))]
    for start, end in inside:
        if is_weak:
            labels[start : end + 1] = RIGHT
        else:
            labels[start, 0] = labels[end, 1] = RIGHT
    if not inside:
        labels[0] = RIGHT
    return labels


def token_span(window: Window, span: tuple[int, int]) -> tuple[int, int] | None:
    """The tokens that hold the characters `span`, or None where the window cuts them."""
    start, end = span
    touched = [i for i, (s, e) in enumerate(window.offsets) if s < end and start < e]
    if not touched or window.offsets[touched[0]][0] > start or window.offsets[touched[-1]][1] < end:
        return None
    return window.first + touched[0], window.first + touched[-1]


def best_span(window: Window, logits: NDArray[np.float32], max_answer_tokens: int) -> Span:
    """The span with the highest summed logits among those of at most `max_answer_tokens`; logits are [tokens, 2]."""
    starts, ends = (logits[window.first : window.first + len(window.offsets), i] for i in (0, 1))
    none = float(logits[0].sum())
    if not len(starts):
        return Span(0, 0, float("-inf"))
    sums = starts[:, None] + ends[None, :]
    n = len(starts)
    is_span = np.triu(np.ones((n, n), bool)) & ~np.triu(np.ones((n, n), bool), max_answer_tokens)
    i, j = np.unravel_index(np.where(is_span, sums, -np.inf).argmax(), (n, n))
    return Span(window.offsets[i][0], window.offsets[j][1], float(sums[i, j]) - none)
