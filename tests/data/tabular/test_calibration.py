import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from data.tabular.calibration import Calibration, IsotonicCalibration, NoCalibration, PlattCalibration

ANY = TypeAdapter(Calibration)


def test_platt_of_slope_one_changes_nothing():
    raw = np.array([0.01, 0.3, 0.5, 0.99])
    np.testing.assert_allclose(PlattCalibration(slope=1, intercept=0).apply(raw), raw, rtol=1e-12)


def test_platt_by_hand():
    # logit(0.8) = ln 4; half of it is ln 2; 1 / (1 + 1/2) = 2/3
    assert PlattCalibration(slope=0.5, intercept=0).apply(np.array([0.8]))[0] == pytest.approx(2 / 3)


def test_isotonic_runs_in_straight_lines_and_stays_flat_beyond_its_ends():
    found = IsotonicCalibration(at=(0.2, 0.6), probability=(0.1, 0.5))
    np.testing.assert_allclose(found.apply(np.array([0.0, 0.2, 0.4, 0.6, 1.0])), [0.1, 0.1, 0.3, 0.5, 0.5])


@pytest.mark.parametrize(
    "one",
    [
        NoCalibration(),
        PlattCalibration(slope=0.7, intercept=-0.2),
        IsotonicCalibration(at=(0.1, 0.3), probability=(0.0, 1.0)),
    ],
)
def test_it_reads_back_from_json_with_the_same_bits(one):
    raw = np.linspace(0, 1, 101)
    again = ANY.validate_json(one.model_dump_json())
    assert again == one
    assert again.apply(raw).tobytes() == one.apply(raw).tobytes()


@pytest.mark.parametrize(
    ("at", "probability"),
    [
        ((0.1, 0.1), (0.2, 0.3)),
        ((0.1, 0.2), (0.3, 0.2)),
        ((0.1,), (0.2, 0.3)),
        ((0.1, 0.2), (0.5, 1.5)),
        ((0.1, float("nan")), (0.1, 0.2)),
    ],
)
def test_what_does_not_rise_is_no_isotonic_calibration(at, probability):
    with pytest.raises(ValidationError):
        IsotonicCalibration(at=at, probability=probability)


def test_platt_refuses_infinity():
    with pytest.raises(ValidationError):
        PlattCalibration(slope=float("inf"), intercept=0)
