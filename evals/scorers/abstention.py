"""Whether a target answers when it should and abstains when it should, and how far its confidence can be trusted.

Per sample: was the decision to answer right? Over a run: the risk-coverage curve (El-Yaniv & Wiener 2010, section 2), its area
(AURC, Geifman, Uziel & El-Yaniv 2019, equation 3) and the threshold that holds a wanted risk with a stated confidence (SGR,
Geifman & El-Yaniv 2017, algorithm 1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from data.errors import InvalidInput
from data.records import Observation, Sample, Score
from evals.scoring import Metric


@dataclass(frozen=True)
class AbstentionScorer:
    """abstention_correct: 1 for an answer to an answerable sample and for none to an unanswerable one, else 0."""

    id: str = "abstention@1"
    metrics = (Metric("abstention_correct"),)

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        if observation.answer is None:
            return []
        answered = not observation.answer.abstained
        detail = {"answered": answered, "answerable": sample.answerable}
        return [Score(scorer="abstention_correct", value=float(answered == sample.answerable), detail=detail)]


@dataclass(frozen=True)
class Selected:
    """A point of the curve: answering from `threshold` on covers this share of all samples, at this mean loss."""

    threshold: float
    coverage: float
    risk: float


@dataclass(frozen=True)
class Calibrated:
    """With probability 1 - delta, answering from `threshold` on has a true risk of at most `bound`.

    Where no threshold can promise the wanted risk: an infinite one, which covers nothing.
    """

    threshold: float
    coverage: float
    risk: float
    bound: float


def risk_coverage(
    confidences: Sequence[float], losses: Sequence[float], n_samples: int | None = None
) -> list[Selected]:
    """One point for each distinct confidence, the surest first. Coverage is of `n_samples`, abstentions among them.

    coverage(t) = |{i: c_i >= t}| / n, risk(t) = mean of losses over {i: c_i >= t}.
    """
    _check(confidences, losses)
    n_samples = len(losses) if n_samples is None else n_samples
    points: list[Selected] = []
    total = 0.0
    order = sorted(range(len(losses)), key=lambda i: -confidences[i])
    for n, i in enumerate(order, 1):
        total += losses[i]
        if n == len(order) or confidences[order[n]] != confidences[i]:  # equal confidences are taken or left together
            points.append(Selected(confidences[i], n / n_samples, total / n))
    return points


def aurc(confidences: Sequence[float], losses: Sequence[float]) -> float:
    """Mean selective risk over the coverages 1/n, 2/n, ..., 1: 0 is best, the plain risk is what random confidence gives.

    Within equal confidences the expected order is taken: each counts the group's mean loss.
    """
    total, n_before, loss_before, n = 0.0, 0, 0.0, len(losses)
    for point in risk_coverage(confidences, losses):
        n_up_to = round(point.coverage * n)
        loss_up_to = point.risk * n_up_to
        mean = (loss_up_to - loss_before) / (n_up_to - n_before)
        total += sum((loss_before + mean * (k - n_before)) / k for k in range(n_before + 1, n_up_to + 1))
        n_before, loss_before = n_up_to, loss_up_to
    return total / n if n else 0.0


def calibrated_threshold(
    confidences: Sequence[float], losses: Sequence[float], risk: float, delta: float = 0.05
) -> Calibrated:
    """The threshold with the largest coverage whose true risk stays at most `risk` with probability 1 - `delta`.

    Losses must be 0 or 1. SGR: a binary search over the confidences, each step with the exact binomial bound at
    delta over the number of steps.
    """
    _check(confidences, losses)
    if not set(losses) <= {0, 1} or not losses:
        raise InvalidInput("The binomial bound needs losses of 0 and 1, at least one of them.", field="losses")
    order = sorted(confidences)
    steps = math.ceil(math.log2(len(order) + 1))
    best = Calibrated(threshold=math.inf, coverage=0.0, risk=0.0, bound=1.0)
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        kept = [loss for c, loss in zip(confidences, losses, strict=True) if c >= order[middle]]
        bound = binomial_bound(int(sum(kept)), len(kept), delta / steps)
        if bound <= risk:
            best = Calibrated(order[middle], len(kept) / len(losses), sum(kept) / len(kept), bound)
            high = middle
        else:
            low = middle + 1
    return best


def binomial_bound(n_wrong: int, n: int, delta: float) -> float:
    """The largest rate b at which `n_wrong` or fewer errors in `n` have probability `delta` (Clopper & Pearson 1934)."""
    if n_wrong >= n:
        return 1.0
    low, high = n_wrong / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _binomial_cdf(n_wrong, n, middle) > delta else (low, middle)
    return high


def _binomial_cdf(k: int, n: int, p: float) -> float:
    if p <= 0 or p >= 1:
        return float(p <= 0)
    logs = (
        math.lgamma(n + 1) - math.lgamma(j + 1) - math.lgamma(n - j + 1) + j * math.log(p) + (n - j) * math.log1p(-p)
        for j in range(k + 1)
    )
    return math.fsum(math.exp(x) for x in logs)


def _check(confidences: Sequence[float], losses: Sequence[float]) -> None:
    if len(confidences) != len(losses):
        raise InvalidInput(
            f"{len(confidences)} confidences and {len(losses)} losses; there must be one of each a sample.",
            field="losses",
        )
