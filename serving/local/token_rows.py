"""Texts as the adapters were trained to read them: one text, two texts, a question with each stretch of a context, a text in windows.

finetune encodes the same way with transformers (`finetune/encoders/labelled.py`, `spans.py`); a test compares the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from serving.local.encoder import open_tokenizer, with_clean_text

LONGEST_QUESTION = 64
"""Tokens of a question that are read beside a context."""


@dataclass(frozen=True)
class Encoded:
    """Token ids with their segments. `offsets` are the characters of the second text's tokens, `first` the first of them."""

    ids: tuple[int, ...]
    types: tuple[int, ...]
    first: int = 0
    offsets: tuple[tuple[int, int], ...] = ()


class TokenRows:
    """`model_path` is a folder with `tokenizer.json`. Cheap to make; the tokenizer loads with the first text."""

    def __init__(self, model_path: Path) -> None:
        self._path = model_path
        self._tokenizer: Tokenizer | None = None

    def text(self, text: str, max_length: int) -> Encoded:
        """One text; the rest of a longer one is cut."""
        return self._alone(self._ids(text)[: max_length - 2])

    def windows(self, text: str, max_length: int) -> list[Encoded]:
        """One text in stretches that overlap by a quarter."""
        ids, room = self._ids(text), max_length - 2
        return [self._alone(ids[at : at + room]) for at in window_starts(len(ids), room, room // 4)]

    def pair(self, first: str, second: str, max_length: int) -> Encoded:
        """Two texts; of two that do not fit the longer one is cut first."""
        parts = [self._ids(first), self._ids(second)]
        room = max_length - 3
        most = max(room // 2, room - min(map(len, parts)))
        parts = [part[:most] for part in parts]
        return self._together(parts[0], parts[1][: room - len(parts[0])])

    def question_windows(self, question: str, context: str, max_length: int, stride: int) -> list[Encoded]:
        """The question with each stretch of the context that fits; neighbours overlap by `stride` tokens."""
        asked = self._ids(question)[:LONGEST_QUESTION]
        told = self._encode(context)
        room = max(1, max_length - len(asked) - 3)
        stretches = window_starts(len(told.ids), room, min(stride, room // 2))
        return [
            self._together(asked, told.ids[at : at + room], tuple(told.offsets[at : at + room])) for at in stretches
        ]

    def _alone(self, ids: Sequence[int]) -> Encoded:
        return Encoded((self._cls, *ids, self._sep), (0,) * (len(ids) + 2))

    def _together(
        self, first: Sequence[int], second: Sequence[int], offsets: tuple[tuple[int, int], ...] = ()
    ) -> Encoded:
        begins = len(first) + 2
        types = (0,) * begins + (1,) * (len(second) + 1)
        return Encoded((self._cls, *first, self._sep, *second, self._sep), types, begins, offsets)

    def _ids(self, text: str) -> list[int]:
        return self._encode(text).ids

    def _encode(self, text: str) -> Encoding:
        if self._tokenizer is None:
            tokenizer = open_tokenizer(self._path)
            self._cls, self._sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
            self._tokenizer = tokenizer
        return with_clean_text(lambda texts: self._tokenizer.encode_batch(texts, add_special_tokens=False), [text])[0]


def window_starts(n: int, room: int, overlap: int) -> list[int]:
    """Where windows of `room` over `n` tokens begin; the last one reaches the end."""
    starts, step = [0], max(1, room - overlap)
    while starts[-1] + room < n:
        starts.append(starts[-1] + step)
    return starts
