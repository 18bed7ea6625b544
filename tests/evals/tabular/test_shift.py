import numpy as np
import pytest

from data.errors import InvalidInput
from evals.tabular.estimated import estimate
from evals.tabular.metrics import Scored, values_of
from evals.tabular.shift import Period, by_score, concept_shift, covariate_shift, density_ratio
from tests.evals.tabular.loans import Loans, loans, score_of

pytestmark = pytest.mark.slow  # XGBoost takes seconds to import


def period(one: Loans) -> Period:
    return Period(Scored(one.labels, score_of(one)), one.matrix)


def test_what_has_not_moved_holds():
    found = concept_shift(period(loans(3000, 1)), period(loans(3000, 2)), tolerance=0.05)
    assert found.verdict == "holds"
    assert found.moved_by.low <= 0 <= found.moved_by.high
    assert found.n_labelled == 3000


def test_few_labels_refute_nothing_and_prove_nothing():
    assert concept_shift(period(loans(3000, 1)), period(loans(80, 2))).verdict == "not refuted"


def test_rows_that_move_alone_are_no_concept_shift():
    found = concept_shift(period(loans(3000, 1)), period(loans(3000, 2, income=1.0)), tolerance=0.05)
    assert found.verdict == "holds"


def test_a_concept_that_moves_for_all_is_found_and_measured():
    found = concept_shift(period(loans(3000, 1)), period(loans(3000, 2, concept=0.6)))
    assert found.is_moved
    assert 0.05 < found.moved_by.value < 0.18


def test_shifts_that_cancel_on_average_are_found_too():
    """High incomes repay more and low ones less: the mean label stays, the ranking gets better than estimated."""
    found = concept_shift(period(loans(4000, 1)), period(loans(4000, 2, opposed=-1.2)))
    assert {test.name: test.adjusted < 0.01 for test in found.tests}["by row, opposed"]
    assert found.gap.low > 0.02
    assert found.verdict == "breaks"


def test_a_shift_by_the_row_may_hide_from_the_score():
    """The amount counts the other way now, which one score cannot tell: only the tests by row do."""
    reference, window = loans(4000, 1), loans(4000, 2)
    margin = -0.5 * window.frame["amount"].to_numpy() - 1.2 * window.frame["income"].to_numpy()
    mirrored = (np.random.default_rng(0).random(4000) < 1 / (1 + np.exp(-margin))).astype(np.int8)
    flat = np.full(4000, 0.5)
    found = concept_shift(
        Period(Scored(reference.labels, flat), reference.matrix), Period(Scored(mirrored, flat), window.matrix)
    )
    adjusted = {test.name: test.adjusted for test in found.tests}
    assert adjusted["by score"] > 0.01
    assert adjusted["by row, opposed"] < 0.01


def test_false_alarms_are_as_rare_as_they_should_be():
    alarms = [
        by_score(period(loans(600, seed)).scored, period(loans(500, seed + 1000)).scored) < 0.05 for seed in range(60)
    ]
    assert sum(alarms) <= 8  # 3 expected


def test_few_labels_are_refused():
    with pytest.raises(InvalidInput, match="The window has 20 labelled rows"):
        concept_shift(period(loans(300, 1)), period(loans(20, 2)))


def test_moved_rows_are_told_apart_and_the_column_named():
    moved = covariate_shift(loans(2000, 1).matrix, loans(2000, 2, income=1.0).matrix)
    assert moved.separability.low > 0.6
    assert moved.drivers[0][0] == 0  # income
    still = covariate_shift(loans(2000, 1).matrix, loans(2000, 2).matrix)
    assert 0.45 < still.separability.value < 0.55


def test_weights_calibrate_where_the_new_rows_are():
    """Scores blind to the amount are right on average here and wrong where amounts are high, which is where the new rows are."""
    reference, window = loans(6000, 1), loans(6000, 2)
    chosen = window.frame["amount"].to_numpy() > 0.5
    blind = [1 / (1 + np.exp(-1.1 * one.frame["income"].to_numpy())) for one in (reference, window)]
    scored = Scored(reference.labels, blind[0])
    shown = values_of(Scored(window.labels[chosen], blind[1][chosen]))["brier"]
    plain = estimate(scored, blind[1][chosen], n_draws=5).metrics["brier"].value
    weights = density_ratio(reference.matrix, window.matrix[chosen])
    weighted = estimate(scored, blind[1][chosen], weights=weights, n_draws=5).metrics["brier"].value
    assert abs(weighted - shown) < abs(plain - shown) / 2
