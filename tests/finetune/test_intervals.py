import math

import pytest

from finetune.intervals import ratio_interval


def test_the_value_is_the_ratio_of_the_sums():
    found = ratio_interval([1.0, 3.0], [1, 3])
    assert (found.value, found.low, found.high, found.n) == (1.0, 1.0, 1.0, 2)
    assert ratio_interval([2.0, 3.0], [1, 4]).value == pytest.approx(1.0)


def test_the_interval_is_that_of_a_normal_mean():
    values = [float(i % 2) for i in range(400)]
    found = ratio_interval(values, [1] * 400)
    half = 1.96 * 0.5 / math.sqrt(400)
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), abs=0.006)


def test_no_rows_give_no_number():
    assert math.isnan(ratio_interval([], []).value)
