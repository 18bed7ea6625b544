import numpy as np
import pytest

from data.errors import InvalidInput
from evals.tabular.groups import Grouped, Outcome, intersections, privileged_and_not
from tests.evals.tabular.loans import loans, spec


def test_cells_are_counted_by_group():
    grouped = Grouped(("a", "b"), np.array([0, 0, 1, 1, 1]), np.array([1, 0, 1, 0, 0]), np.array([1, 1, 0, 0, 1]))
    assert grouped.cells().tolist() == [[1, 1, 0, 0], [0, 1, 1, 1]]


def test_what_is_good_may_be_the_negative_decision():
    outcome = Outcome.of(np.array([1, 0]), np.array([True, True]), "negative")
    assert outcome.labels.tolist() == [0, 1]
    assert outcome.decisions.tolist() == [0, 0]


def test_drawing_cells_is_drawing_rows():
    one = loans(400)
    grouped = privileged_and_not(Outcome.of(one.labels, one.truth > 0.5, "positive"), one.frame, spec(), "sex")
    drawn = grouped.drawn_cells(4000, seed=1)
    rows = np.random.default_rng(2).integers(0, 400, (4000, 400))
    of_rows = np.array([np.bincount(grouped.group[at] * 2 + grouped.decisions[at], minlength=4) for at in rows])
    assert (drawn.sum(axis=(1, 2)) == 400).all()
    selected = drawn[:, 1, :2].sum(axis=1)  # men decided for
    assert selected.mean() == pytest.approx(of_rows[:, 3].mean(), rel=0.01)
    assert selected.std() == pytest.approx(of_rows[:, 3].std(), rel=0.06)


def test_clusters_widen_what_is_drawn():
    one = loans(200)
    outcome = Outcome.of(np.repeat(one.labels, 4), np.repeat(one.truth > 0.5, 4), "positive")
    group = np.repeat((one.frame["sex"] == "m").to_numpy().astype(int), 4)
    alone = Grouped(("f", "m"), group, outcome.labels, outcome.decisions)
    together = Grouped(("f", "m"), group, outcome.labels, outcome.decisions, np.repeat(np.arange(200), 4))
    ratio = together.drawn_cells(1000)[:, 1, 0].std() / alone.drawn_cells(1000)[:, 1, 0].std()
    assert 1.7 < ratio < 2.3


def test_combinations_of_attributes_are_groups_of_their_own():
    one = loans(300)
    outcome = Outcome.of(one.labels, one.truth > 0.5, "positive")
    grouped = intersections(outcome, one.frame, spec(), ["sex", "age"])
    assert grouped.names == (
        "sex=f & age from 30",
        "sex=f & age not from 30",
        "sex=m & age from 30",
        "sex=m & age not from 30",
    )
    men = ((one.frame["sex"] == "m") & (one.frame["age"] >= 30)).sum()
    assert grouped.cells()[2].sum() == men


def test_an_attribute_that_is_not_protected_is_refused():
    one = loans(20)
    with pytest.raises(InvalidInput, match="Name one of sex, age"):
        privileged_and_not(Outcome.of(one.labels, one.labels, "positive"), one.frame, spec(), "town")
