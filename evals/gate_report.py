"""What one comparison found: plain records that every report is written from. Judges nothing."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data.records import Outcome
from evals.conclusion import Conclusion, concluded

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Correction(Part):
    """A difference as people would score it, from their few labels and all of the judge's."""

    difference: Finite
    low: Finite
    high: Finite
    weight: Finite
    """How far the judge is believed, 0 to 1."""
    n_labels: int


class GateReading(Part):
    """One gated metric. Differences are candidate less baseline, in the metric's own unit."""

    metric: str
    higher_is_better: bool
    outcome: Outcome
    why: str
    margin: Finite | None = None
    limit: Finite | None = None
    """The floor, or the ceiling where less is better."""
    n_pairs: int = 0
    n_clusters: int = 0
    n_unpaired: int = 0
    """Cases where only one arm has a value."""
    baseline: Finite | None = None
    candidate: Finite | None = None
    difference: Finite | None = None
    standard_error: Finite | None = None
    low: Finite | None = None
    high: Finite | None = None
    """95 % interval of the difference, clustered, for a fixed number of samples."""
    sequence_low: Finite | None = None
    sequence_high: Finite | None = None
    """Confidence sequence at 1 - alpha: assumes bounds alone, holds whenever one stops."""
    p_worse: Finite | None = None
    """Holm-adjusted over all checks of the suite."""
    p_within: Finite | None = None
    p_below: Finite | None = None
    """Holm-adjusted: evidence that the candidate's mean is on the wrong side of the limit."""
    p_above: Finite | None = None
    corrected: Correction | None = None


class PowerReading(Part):
    """What could be found before anything was spent."""

    metric: str
    n_samples: int
    n_clusters: int
    power: Finite
    detectable: Finite | None
    """The smallest loss found with that probability; None where even losing everything is not."""
    margin: Finite | None
    chance_to_catch_margin: Finite | None
    """The probability that a loss as large as the margin fails."""
    chance_to_pass: Finite | None
    """The probability that an unchanged candidate is proven to be within the margin."""
    assumes: str


class CaseLoss(Part):
    """One sample that got worse. `scores` holds (before, after) of the gated metrics."""

    sample_id: str
    cluster: str
    question: str
    loss: Finite
    """Summed over the gated metrics, each in parts of its range."""
    scores: dict[str, tuple[float | None, float | None]]
    before: str
    after: str


class VarianceReading(Part):
    """Parts of the variance of one metric's repeated scores; None where nothing was repeated at that level."""

    metric: str
    samples: Finite | None
    retriever: Finite | None
    generator: Finite | None
    judge: Finite | None


class Arm(Part):
    """One side of the comparison and what it cost."""

    ref: str
    target: str
    run_id: str = ""
    n_rows: int = 0
    n_cached: int = 0
    n_failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class GateReport(Part):
    suite: str
    conclusion: Conclusion
    created_at: datetime
    baseline: Arm
    candidate: Arm
    gates: tuple[GateReading, ...]
    power: tuple[PowerReading, ...] = ()
    worst: tuple[CaseLoss, ...] = ()
    variance: tuple[VarianceReading, ...] = ()
    alpha: Finite
    n_samples: int
    n_asked: int
    n_errors: int
    """Cases that ended in an error in either arm; they are no scores."""
    max_error_share: Finite
    errors: tuple[str, ...] = ()
    """Some of them."""
    seconds: Finite = 0.0
    notes: tuple[str, ...] = ()

    @property
    def error_share(self) -> float:
        return self.n_errors / self.n_asked if self.n_asked else 0.0

    @property
    def is_stopped_early(self) -> bool:
        return self.n_asked < self.n_samples

    @property
    def headline(self) -> str:
        return f"{self.conclusion.word}: {self.suite}, {self.candidate.ref} against {self.baseline.ref}"

    @model_validator(mode="after")
    def _one_conclusion(self) -> "GateReport":
        outcomes = (gate.outcome for gate in self.gates)
        implied = concluded(outcomes, error_share=self.error_share, max_error_share=self.max_error_share)
        if self.conclusion is not implied:
            raise ValueError(f"it says {self.conclusion}, and its gates say {implied}")
        return self
