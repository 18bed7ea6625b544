"""What a rollout watches and how sure it must be. Part of a rollout's stored state, so that a decision can be repeated."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Alpha = Annotated[float, Field(gt=0, lt=0.5)]


class Unit(StrEnum):
    """What chance assigns and what counts once. A caller's answers resemble one another, so a caller counts once."""

    CALLER = "caller"
    REQUEST = "request"


class Metric(BaseModel):
    """One measured value in [0, 1] per unit."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str
    higher_is_better: bool = False
    tolerance: float = Field(0.05, ge=0, lt=1)
    """Worse than the incumbent by more than this rolls back; promotion needs proof that it is not."""
    min_lift: float | None = Field(None, ge=0, lt=1)
    """An A/B test: promotion needs proof that the candidate is better by more than this, and not merely within tolerance."""
    is_sparse: bool = False
    """Given by few (thumbs): silence counts as the neutral 0.5, so who speaks up may depend on the answer."""
    is_required: bool = True
    """Promotion waits for proof about this metric; otherwise it can only roll back."""

    @property
    def margin(self) -> float:
        """What promotion must prove the difference to be above, in favour of the candidate."""
        return -self.tolerance if self.min_lift is None else self.min_lift


METRICS = (
    Metric(name="error", tolerance=0.05),
    Metric(name="abstained", tolerance=0.10),
    Metric(name="slow", tolerance=0.10),
    Metric(name="support", higher_is_better=True, tolerance=0.05),
    Metric(name="thumbs", higher_is_better=True, tolerance=0.05, is_sparse=True, is_required=False),
)


class RolloutPolicy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    metrics: tuple[Metric, ...] = METRICS
    """What is watched. A metric that nobody reports decides nothing, except that a required one holds promotion up."""
    alpha_rollback: Alpha = 0.05
    """Probability that a candidate within every tolerance is ever rolled back by one trial, all metrics together."""
    alpha_promote: Alpha = 0.05
    """Probability that a candidate beyond a required metric's tolerance is ever promoted by one trial."""
    min_units: int = Field(30, ge=1)
    """Units that the candidate must have answered before it may be promoted."""
    max_units: int | None = Field(None, ge=1)
    """A trial that is undecided after so many units of the candidate is taken back: its size was stated first."""
    unit: Unit = Unit.CALLER
    """What is split and counted: callers (stable), or single requests where callers are few and alike."""
    is_automatic: bool = True
    """Move by itself. Otherwise the evidence is shown and a person moves it."""

    @property
    def rollback_at(self) -> float:
        """The money that a gambler must make before its metric rolls back (Bonferroni over the metrics)."""
        return len(self.metrics) / self.alpha_rollback

    @property
    def promote_at(self) -> float:
        """The money that every required metric's gambler must make: all of them, so no correction is needed."""
        return 1 / self.alpha_promote
