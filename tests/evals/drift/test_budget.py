import pytest

from data.errors import InvalidInput
from evals.drift.budget import AlarmBudget, allowance


def test_the_budget_is_a_sum_over_monitors_windows_and_streams():
    given = allowance(AlarmBudget(1, 30), n_monitors=10, window_days=3, n_detectors=4, events_per_day=100)
    expected_false_alarms = given.alpha * 10 * 10 + 4 * 100 * 30 / given.run_length
    assert expected_false_alarms == pytest.approx(1)


def test_monitors_alone_get_all_of_it():
    given = allowance(AlarmBudget(2, 30), n_monitors=5, window_days=1)
    assert given.alpha * 5 * 30 == pytest.approx(2)
    assert given.run_length is None


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(InvalidInput, match="above 0"):
        allowance(AlarmBudget(0, 30), n_monitors=1, window_days=1)
