import math

import pytest
from pydantic import ValidationError

from data.errors import InvalidInput
from evals.gate_config import GateConfig, GateRules, bounded, checked, goodness
from evals.scoring import Metric

QUALITY, TOXIC = Metric("quality"), Metric("toxic", higher_is_better=False)
LATENCY = Metric("latency", 0.0, None, higher_is_better=False, unit="ms")
METRICS = {m.name: m for m in (QUALITY, TOXIC, LATENCY)}


@pytest.mark.parametrize("field", ["margin", "floor", "ceiling", "tolerance"])
@pytest.mark.parametrize("value", [math.nan, math.inf, None, "0.05", True])
def test_a_threshold_that_is_no_finite_number_is_refused(field, value):
    with pytest.raises(ValidationError):
        GateConfig.model_validate({"metric": "quality", "margin": 0.1} | {field: value})


def test_a_gate_without_any_threshold_is_refused():
    with pytest.raises(ValidationError, match="needs a margin, a floor or a ceiling"):
        GateConfig.model_validate({"metric": "quality"})


@pytest.mark.parametrize(
    ("given", "told"), [({"tolerance": 0.1}, "below the margin"), ({"margin": 0}, "greater than 0")]
)
def test_thresholds_that_contradict_one_another_are_refused(given, told):
    with pytest.raises(ValidationError, match=told):
        GateConfig.model_validate({"metric": "quality", "margin": 0.1} | given)
    with pytest.raises(ValidationError, match="tolerance but no margin"):
        GateConfig(metric="quality", floor=0.5, tolerance=0.1)
    with pytest.raises(ValidationError):
        GateRules(alpha=math.nan)


def test_everything_that_does_not_fit_the_suite_is_said_at_once():
    gates = [
        GateConfig(metric="qualty", margin=0.1),
        GateConfig(metric="toxic", margin=0.1, floor=0.1),
        GateConfig(metric="quality", margin=1.0, floor=1.5),
        GateConfig(metric="latency", margin=50),
        GateConfig(metric="quality", margin=0.1),
    ]
    with pytest.raises(InvalidInput) as caught:
        checked(gates, METRICS)
    told = str(caught.value)
    for part in (
        "quality is gated twice",
        "did you mean quality",
        "takes a ceiling, not a floor",
        "must be below its range 1",
        "the floor 1.5",
        "latency has no bounds",
    ):
        assert part in told


def test_a_metric_without_bounds_gets_those_of_its_gate():
    gate = GateConfig(metric="latency", margin=50, bounds=(0, 2000))
    assert checked([gate], METRICS)["latency"].high == 2000
    assert bounded(GateConfig(metric="quality", margin=0.1), QUALITY) == QUALITY
    with pytest.raises(ValidationError, match="below the second"):
        GateConfig(metric="latency", margin=50, bounds=(5, 5))


def test_goodness_is_a_share_of_the_range_with_one_for_best():
    slow = Metric("latency", 0, 2000, higher_is_better=False)
    assert [goodness(v, slow) for v in (0, 500, 2000, 9000)] == [1, 0.75, 0, 0]
    assert goodness(0.3, QUALITY) == 0.3


def test_half_the_margin_is_tolerated_unless_the_gate_says_otherwise():
    assert GateConfig(metric="quality", margin=0.1).least_loss == 0.05
    fine = GateConfig(metric="quality", margin=0.1, tolerance=0.01)
    assert (fine.least_loss, fine.looks_closer) == (0.01, True)
    assert not GateConfig(metric="quality", margin=0.1).looks_closer
