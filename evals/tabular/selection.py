"""The best of the models that are fair; where none is, which comes closest. Trains nothing and measures nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.errors import InvalidInput, UsageError
from evals.tabular.fairness import FairnessFigure, FairnessReport
from evals.tabular.metrics import LESS_IS_BETTER


@dataclass(frozen=True)
class Candidate:
    """A model with its metrics and one fairness report per protected attribute."""

    name: str
    metrics: Mapping[str, float]
    fairness: tuple[FairnessReport, ...]

    @property
    def broken(self) -> list[tuple[str, FairnessFigure]]:
        """What fails, as (attribute, figure), the worst first."""
        found = [(report.attribute, one) for report in self.fairness for one in report.broken]
        return sorted(found, key=lambda pair: -pair[1].excess)

    @property
    def excess(self) -> float:
        """How far its worst figure lies outside its limit, as a share of the limit; 0 where all lie within."""
        return max((one.excess for report in self.fairness for one in report.figures.values()), default=0.0)


@dataclass(frozen=True)
class Selection:
    """`chosen` is the best that passes; `unconstrained` the best of all, so that the cost of fairness can be told."""

    chosen: Candidate
    unconstrained: Candidate
    metric: str
    refused: tuple[Candidate, ...]

    @property
    def cost(self) -> float:
        """What the constraint costs in the metric; 0 where the best is fair."""
        return abs(self.unconstrained.metrics[self.metric] - self.chosen.metrics[self.metric])


class FairnessViolation(UsageError):
    """No model passes. `closest` is the one whose worst figure lies least outside; `candidates` are all, nearest first."""

    code = "fairness_violation"

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        ranked = sorted(candidates, key=lambda one: (one.excess, len(one.broken)))
        told = "\n".join(f"  {one.name}: {'; '.join(_told(pair) for pair in one.broken[:4])}" for one in ranked)
        super().__init__(
            f"None of {len(ranked)} models is fair enough; {ranked[0].name} comes closest.\n{told}",
            next_step="\nSee what mitigation would cost: assay tabular fairness MODEL --mitigate. "
            "Limits are --max-difference and --impact.",
        )
        self.candidates = tuple(ranked)

    @property
    def closest(self) -> Candidate:
        return self.candidates[0]


def select(candidates: Sequence[Candidate], metric: str = "roc_auc") -> Selection:
    """The best candidate by `metric` among those that pass. Raises: FairnessViolation; InvalidInput without a candidate."""
    if not candidates:
        raise InvalidInput("There is no model to choose from.", field="models", next_step="Name at least one.")
    if absent := [one.name for one in candidates if metric not in one.metrics]:
        raise InvalidInput(
            f"{', '.join(absent)} has no {metric}.",
            field="metric",
            next_step=f"Choose one of {', '.join(candidates[0].metrics)}.",
        )
    sign = -1 if metric in LESS_IS_BETTER else 1
    ranked = sorted(candidates, key=lambda one: -sign * one.metrics[metric])
    fair = [one for one in ranked if not one.broken]
    if not fair:
        raise FairnessViolation(candidates)
    return Selection(fair[0], ranked[0], metric, tuple(one for one in ranked if one.broken))


def _told(pair: tuple[str, FairnessFigure]) -> str:
    attribute, figure = pair
    far = f", {figure.excess:.0%} over the limit" if 0 < figure.excess < float("inf") else f", {figure.verdict}"
    return f"{attribute} {figure.measure} {figure.measured.value:.3f}{far}"
