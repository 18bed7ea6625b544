"""What a tabular trial watches: errors, slowness, decisions that would change, and, once labels come, mistakes and Brier's score."""

import hashlib
from collections.abc import Callable, Sequence

from data.errors import InvalidInput
from serving.rollout.engine import RolloutEngine
from serving.rollout.outcomes import Later
from serving.rollout.policy import Metric, RolloutPolicy, Unit
from serving.tabular.prediction_store import KeptPrediction

MAX_KEY_CHARS = 120
METRICS = (
    Metric(name="error", tolerance=0.02),
    Metric(name="slow", tolerance=0.05),
    Metric(name="changed", tolerance=0.10, is_required=False),
    Metric(name="brier", tolerance=0.02),
    Metric(name="wrong", tolerance=0.05, is_required=False),
)
POLICY = RolloutPolicy(metrics=METRICS, unit=Unit.REQUEST)
"""Promotion waits for labels: a model that nobody has seen to be right is only fast."""


def metric_named(name: str) -> Metric:
    """Raises: InvalidInput for a metric that no label gives."""
    found = {one.name: one for one in METRICS if one.name in ("brier", "wrong")}
    if name not in found:
        raise InvalidInput(f"{name!r} is no metric.", field="metric", next_step=f"There are: {', '.join(found)}.")
    return found[name]


def ab_policy(metric: Metric, n_candidate: int) -> RolloutPolicy:
    """Promote what is proven better by `metric.min_lift`; take back what is not by the end of the stated size."""
    others = (one for one in METRICS if one.name != metric.name)
    watched = tuple(one.model_copy(update={"is_required": False}) for one in others)
    compared = metric.model_copy(update={"is_required": True})
    return POLICY.model_copy(update={"metrics": (*watched, compared), "max_units": n_candidate})


def prediction_key(request_id: str, at: int) -> str:
    """Names one row of a request, to clients too."""
    return f"{request_id[:MAX_KEY_CHARS]}:{at}"


def outcome_key(request_id: str) -> str:
    """Names a request's outcome, in the 40 characters that there are: its first row's."""
    return hashlib.sha256(request_id[:MAX_KEY_CHARS].encode()).hexdigest()[:40]


def losses(kept: KeptPrediction, label: bool) -> dict[str, float]:
    """Of one prediction, in [0, 1]."""
    return {"brier": (kept.score - label) ** 2, "wrong": float(kept.decision != label)}


def learnt(engine: RolloutEngine, kept: Sequence[KeptPrediction], label_of: Callable[[KeptPrediction], bool]) -> int:
    """Tell the engine how good predictions of a trial were: a shadow's beside the one that was shown. Returns how many."""
    by_key: dict[str, dict[str, KeptPrediction]] = {}
    for one in kept:
        if one.trial and one.key.endswith(":0"):
            by_key.setdefault(one.key, {})["shadow" if one.stage == "shadow" else "shown"] = one
    later = []
    for found in by_key.values():
        if (shown := found.get("shown")) is None:
            continue
        key, label, shadow = outcome_key(shown.request_id), label_of(shown), found.get("shadow")
        mine = losses(shown, label)
        later.append(Later(key, losses(shadow, label), mine) if shadow is not None else Later(key, mine))
    return engine.rate_all(later)
