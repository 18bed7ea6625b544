"""What a parity check found, and the port through which a served model is asked. Knows no model library."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

Message = dict[str, str]


class Remote(Protocol):
    """A served model with the adapter (vLLM). `app` implements it over HTTP."""

    name: str

    def token_ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's token ids as the server renders the chat template, generation prompt included."""

    def logprobs(self, token_ids: Sequence[int]) -> list[float]:
        """The log-probability of each token given those before it; the first token has none: len(token_ids) - 1 values."""

    def generate(self, token_ids: Sequence[int], max_new_tokens: int) -> tuple[list[int], str]:
        """Greedy continuation and why it ended: `stop` or `length`."""


@dataclass(frozen=True)
class Mismatch:
    """Where two forms of the adapter differ. `check` is one of template, stop_token, logprobs, merge."""

    check: str
    between: tuple[str, str]
    where: str
    detail: str
    mend: str = ""


@dataclass(frozen=True)
class ParityReport:
    """`compared` names the forms; `largest_difference` is in nats, over all prompts and tokens."""

    compared: tuple[str, ...]
    n_prompts: int
    n_tokens: int
    largest_difference: float
    tolerance: float
    mismatches: tuple[Mismatch, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def is_passed(self) -> bool:
        return not self.mismatches

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "is_passed": self.is_passed}
