import itertools

import numpy as np
import pytest

from evals.intervals import percentiles, resampled, sign_flip, wilson


def test_wilson_holds_the_share_and_stays_within_zero_and_one():
    assert wilson(5, 10) == [0.2366, 0.7634]
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    assert wilson(0, 0) is None


def test_whole_clusters_are_resampled_so_copies_of_rows_add_no_certainty():
    rows = np.asarray([[1.0, 1.0], [0.0, 1.0]] * 10)
    copied = rows * 7  # each cluster seven times as large

    def interval(totals):
        drawn = resampled(totals)
        return percentiles(drawn[:, 0] / drawn[:, 1])

    assert interval(rows) == interval(copied)
    low, high = interval(rows)
    assert low < 0.5 < high


def test_undefined_values_are_left_out_and_none_at_all_has_no_interval():
    assert percentiles([1.0, np.nan, 1.0]) == [1.0, 1.0]
    assert percentiles([np.nan]) is None


def test_the_sign_flip_p_is_the_share_of_signs_that_are_as_extreme():
    given = [0.3, 0.1, 0.4, -0.2, 0.5]
    sums = [
        abs(sum(s * d for s, d in zip(signs, given, strict=True))) for signs in itertools.product((1, -1), repeat=5)
    ]
    assert sign_flip(given) == pytest.approx(sum(s >= abs(sum(given)) - 1e-12 for s in sums) / 32)
    assert sign_flip([0.0, 0.0]) == 1.0
    assert sign_flip([0.2] * 30) < 0.001
