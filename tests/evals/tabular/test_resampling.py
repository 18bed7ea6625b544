import numpy as np
import pytest

from data.errors import InvalidInput
from data.tabular.model import Measured
from evals.tabular import resampling
from evals.tabular.resampling import as_list, basic_interval, percentile_interval, told, weights_of


def test_each_resample_draws_as_many_rows_as_there_are():
    weights = np.concatenate(list(weights_of(50, n_resamples=30)))
    assert weights.shape == (30, 50)
    assert (weights.sum(axis=1) == 50).all()


def test_rows_of_a_cluster_are_drawn_together():
    clusters = np.array(["a", "b", "a", "c", "b", "a"])
    weights = np.concatenate(list(weights_of(6, clusters, n_resamples=40)))
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()


def test_chunks_give_what_one_pass_gives(monkeypatch):
    whole = np.concatenate(list(weights_of(20, n_resamples=10, seed=5)))
    monkeypatch.setattr(resampling, "CELLS", 60)
    parts = list(weights_of(20, n_resamples=10, seed=5))
    assert len(parts) == 4
    assert (np.concatenate(parts) == whole).all()


def test_one_cluster_cannot_be_resampled():
    with pytest.raises(InvalidInput, match="there are 1"):
        next(weights_of(5, np.zeros(5)))


def test_intervals_leave_out_what_is_undefined():
    drawn = np.array([np.nan, *np.linspace(0, 1, 101)])
    found = percentile_interval(0.5, drawn, 0.9)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.05, 0.95))
    assert np.isnan(percentile_interval(0.5, np.array([np.nan])).low)


def test_a_mirrored_interval_stops_at_its_floor_and_holds_its_value():
    found = basic_interval(0.1, np.linspace(0.1, 0.5, 101))
    assert found.low == 0
    assert found.high == 0.1


def test_undefined_figures_are_told_in_words_and_null_in_json():
    nan = float("nan")
    assert told(Measured(nan, nan, nan)) == "undefined"
    assert as_list(Measured(nan, nan, nan)) == [None, None, None]
    assert told(Measured(0.5, 0.4, 0.6)) == "0.5000 [0.4000, 0.6000]"
