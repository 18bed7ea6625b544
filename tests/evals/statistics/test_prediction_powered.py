import numpy as np
import pytest
from scipy import stats

from data.errors import InvalidInput
from evals.statistics.prediction_powered import Judged, corrected_mean


def _cases(rng, n, n_labels, bias, noise):
    """People say 0 or 1 with mean 0.7; the judge is off by `bias` on average."""
    human = (rng.random(n) < 0.7).astype(float)
    judge = human + bias + rng.normal(0, noise, n)
    return [
        Judged(float(j), float(h) if i < n_labels else None, i)
        for i, (h, j) in enumerate(zip(human, judge, strict=True))
    ]


def test_a_hand_worked_case():
    """Labels 1 and 0 where the judge said 0.9 and 0.1, and 0.5 elsewhere: only the weight decides, and two labels give it none."""
    cases = [Judged(0.9, 1.0, 0), Judged(0.1, 0.0, 1), Judged(0.5, None, 2)]
    found = corrected_mean(cases)
    assert (found.weight, found.estimate.mean) == (0.0, 0.5)
    assert found.bias == pytest.approx(0.0)


def test_with_no_weight_it_is_the_people_s_own_t_interval():
    human = np.random.default_rng(0).normal(size=12)
    found = corrected_mean([Judged(0.5, float(h), i) for i, h in enumerate(human)])
    theirs = stats.ttest_1samp(human, 0).confidence_interval(0.95)
    assert (found.estimate.low, found.estimate.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))


@pytest.mark.slow
def test_a_biased_judge_is_corrected_and_the_interval_holds_what_it_promises():
    rng, n, covered, naive = np.random.default_rng(1), 300, 0, 0
    for _ in range(n):
        cases = _cases(rng, 300, 40, bias=0.15, noise=0.2)
        found = corrected_mean(cases).estimate
        covered += found.low <= 0.7 <= found.high
        judge = stats.ttest_1samp([c.judge for c in cases], 0).confidence_interval(0.95)
        naive += judge.low <= 0.7 <= judge.high
    assert 0.91 <= covered / n <= 0.985
    assert naive / n < 0.1


def test_a_good_judge_shortens_the_interval_and_a_useless_one_does_no_harm():
    rng = np.random.default_rng(2)
    good, useless = _cases(rng, 600, 60, 0.1, 0.05), _cases(rng, 600, 60, 0.0, 20.0)
    people = stats.sem([c.human for c in good if c.human is not None])
    found = corrected_mean(good)
    assert found.weight > 0.8
    assert found.estimate.standard_error < 0.6 * people
    assert corrected_mean(useless).weight < 0.05
    assert corrected_mean(useless).estimate.standard_error < 1.05 * stats.sem(
        [c.human for c in useless if c.human is not None]
    )


def test_labels_of_one_document_alone_are_refused():
    with pytest.raises(InvalidInput, match="at least two clusters"):
        corrected_mean([Judged(0.5, 1.0, "a"), Judged(0.4, 1.0, "a"), Judged(0.4, None, "b")])
