"""Training rows as every kind hands them to preflight, the card and the trainer. Knows no model and no trainer."""

from dataclasses import dataclass, field
from typing import Any

from finetune.recipe_parts import Source

IGNORED = -100
"""The label of a token that the loss leaves out (torch's `ignore_index`)."""


@dataclass(frozen=True)
class Example:
    """One row, ready to train on. `labels` equals `input_ids` where a token is learned and IGNORED elsewhere.

    `key` is what is asked (two rows with one key are one question), `answer` what is learned, `text` all that the row says. `features` is what else the
    kind's trainer needs. Encoder kinds have no loss mask: they leave `labels` empty.
    """

    where: str
    key: str
    answer: str
    text: str
    input_ids: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()
    n_tokens_uncut: int = 0
    features: dict[str, Any] = field(default_factory=dict)

    @property
    def n_trainable(self) -> int:
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True)
class Dropped:
    """A row that cannot be used. `reason` is a short code, `detail` what was found."""

    where: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class FileDigest:
    """A source as it was read: the lineage in the card."""

    source: Source
    sha256: str
    n_rows: int
    role: str


@dataclass(frozen=True)
class Notice:
    """Something a kind found while preparing that preflight cannot see. `mend` is the edit that mends it."""

    code: str
    message: str
    mend: str
    is_blocking: bool = True


@dataclass(frozen=True)
class Prepared:
    """Everything known before a step is trained. `aids` is the kind's own (a tokenizer); `decode` shows token ids as text."""

    train: tuple[Example, ...]
    eval: tuple[Example, ...]
    dropped: tuple[Dropped, ...] = ()
    files: tuple[FileDigest, ...] = ()
    notices: tuple[Notice, ...] = ()
    max_length: int | None = None
    aids: Any = None
    decode: Any = None
