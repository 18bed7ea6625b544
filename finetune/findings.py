"""What the look at the data found, as records and as JSON. Knows neither how it was found nor how it is shown."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """`examples` are places (`file:line`) with what stands there. `mend` is the edit that mends it."""

    code: str
    message: str
    mend: str
    is_blocking: bool
    n: int = 0
    examples: tuple[str, ...] = ()
    is_allowed: bool = False
    """It would block, and the recipe accepts it by name (`preflight.allow`)."""


@dataclass(frozen=True)
class Histogram:
    """Token lengths: `counts[i]` rows have up to `edges[i]` tokens and more than the edge before."""

    edges: tuple[int, ...]
    counts: tuple[int, ...]
    longest: int
    mean: float


@dataclass(frozen=True)
class Piece:
    """A stretch of a rendered row, and whether it is learned."""

    text: str
    is_learned: bool


@dataclass(frozen=True)
class PreflightReport:
    """The whole look. `n_suite_items` says how many evaluation questions were compared with."""

    n_train: int
    n_eval: int
    n_dropped: int
    n_suite_items: int
    n_trainable_tokens: int
    n_tokens: int
    lengths: Histogram | None
    sample: tuple[Piece, ...]
    findings: tuple[Finding, ...]

    @property
    def blocking(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.is_blocking and not f.is_allowed)

    @property
    def is_passed(self) -> bool:
        return not self.blocking

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "is_passed": self.is_passed}
