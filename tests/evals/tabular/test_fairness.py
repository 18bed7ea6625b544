import numpy as np
import pytest

from data.errors import InvalidInput
from evals.tabular.fairness import MEASURES, FairnessRule, fairness_of, measures_of
from evals.tabular.groups import Grouped


def grouped(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> Grouped:
    """Rows with the given (tp, fp, fn, tn) of both groups."""
    cells = np.array([first, second])
    kinds = np.repeat(np.tile(np.arange(4), 2), cells.ravel())
    group = np.repeat([0, 1], cells.sum(axis=1))
    return Grouped(("unprivileged", "privileged"), group, np.isin(kinds, [0, 2]).astype(int), (kinds < 2).astype(int))


def test_a_case_worked_by_hand():
    found = measures_of(np.array([[30.0, 10, 20, 40], [60.0, 20, 0, 20]]))
    assert found["statistical_parity_difference"] == pytest.approx(0.4 - 0.8)
    assert found["equal_opportunity_difference"] == pytest.approx(0.6 - 1.0)
    assert found["average_odds_difference"] == pytest.approx(((0.6 - 1.0) + (0.2 - 0.5)) / 2)
    assert found["disparate_impact"] == pytest.approx(0.5)
    benefits = np.repeat([1.0, 2.0, 0.0], [150, 30, 20])  # right, false positive, false negative
    share = benefits[benefits > 0] / benefits.mean()
    assert found["theil_index"] == pytest.approx((share * np.log(share)).sum() / 200)


def test_equal_groups_are_fair_and_perfect_decisions_have_no_inequality():
    report = fairness_of(grouped((50, 0, 0, 50), (50, 0, 0, 50)), "sex")
    assert report.passes
    assert report.figures["theil_index"].measured.value == 0
    assert report.figures["theil_index"].verdict == "no limit"


def test_the_worst_figure_comes_first_and_excess_is_a_share_of_the_limit():
    report = fairness_of(grouped((30, 10, 20, 40), (60, 20, 1, 19)), "sex")
    assert not report.passes
    assert report.broken[0].measure == "statistical_parity_difference"
    assert report.figures["statistical_parity_difference"].excess == pytest.approx(3.0)
    assert report.figures["disparate_impact"].excess == pytest.approx(0.8 / 0.5 - 1)


def test_the_whole_interval_counts_only_where_that_is_asked():
    edge = grouped((22, 22, 20, 36), (25, 24, 17, 34))  # 0.44 against 0.49
    assert fairness_of(edge, "sex", FairnessRule(impact=(0.5, 2))).passes
    strict = fairness_of(edge, "sex", FairnessRule(impact=(0.5, 2), certain=True))
    assert strict.figures["statistical_parity_difference"].verdict == "undecided"
    assert not strict.passes
    many = fairness_of(grouped((2200, 2200, 2000, 3600), (2210, 2200, 2000, 3590)), "sex", FairnessRule(certain=True))
    assert many.passes


def test_a_limit_on_the_theil_index_is_judged():
    report = fairness_of(grouped((30, 30, 20, 40), (30, 30, 20, 40)), "sex", FairnessRule(max_theil=0.05))
    assert report.figures["theil_index"].verdict == "fail"


def test_groups_too_small_decide_nothing_and_say_why():
    report = fairness_of(grouped((5, 2, 3, 4), (60, 20, 30, 40)), "sex")
    assert {one.verdict for one in report.figures.values()} == {"too small", "no limit"}
    assert report.note == "unprivileged: 14 rows, fewer than 30"
    few_good = fairness_of(grouped((5, 20, 3, 40), (60, 20, 30, 40)), "sex")
    assert few_good.note == "unprivileged: 8 whose label is good, fewer than 30"


def test_a_rate_of_nothing_is_a_failure_and_no_number():
    report = fairness_of(grouped((0, 0, 50, 50), (0, 0, 50, 50)), "sex")
    assert report.figures["disparate_impact"].verdict == "fail"
    assert report.figures["disparate_impact"].excess == float("inf")


def test_intervals_cover_about_as_often_as_they_say():
    rng, hits = np.random.default_rng(0), dict.fromkeys(MEASURES, 0)
    shares = np.array([[0.2, 0.05, 0.1, 0.15], [0.25, 0.05, 0.05, 0.15]])
    truth = measures_of(shares)
    for seed in range(60):
        cells = rng.multinomial(400, shares.ravel()).reshape(2, 4)
        report = fairness_of(grouped(tuple(cells[0]), tuple(cells[1])), "sex", n_resamples=200, seed=seed)
        for name in MEASURES:
            hits[name] += report.figures[name].measured.low <= truth[name] <= report.figures[name].measured.high
    assert all(50 <= n <= 60 for n in hits.values()), hits


def test_a_group_without_rows_is_refused():
    with pytest.raises(InvalidInput, match="both groups need some"):
        fairness_of(grouped((0, 0, 0, 0), (1, 1, 1, 1)), "sex")
