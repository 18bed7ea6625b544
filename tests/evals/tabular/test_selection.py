import pytest

from data.errors import InvalidInput
from evals.tabular.fairness import FairnessRule, fairness_of
from evals.tabular.selection import Candidate, FairnessViolation, select
from tests.evals.tabular.test_fairness import grouped

FAIR = fairness_of(grouped((40, 10, 20, 50), (42, 10, 20, 48)), "sex", FairnessRule())
UNFAIR = fairness_of(grouped((30, 10, 30, 50), (50, 10, 12, 48)), "sex", FairnessRule())
WORSE = fairness_of(grouped((10, 10, 50, 50), (50, 10, 12, 48)), "sex", FairnessRule())


def test_the_best_fair_model_is_chosen_and_its_cost_told():
    chosen = select(
        [
            Candidate("strong", {"roc_auc": 0.93}, (UNFAIR,)),
            Candidate("fair", {"roc_auc": 0.90}, (FAIR,)),
            Candidate("weak", {"roc_auc": 0.80}, (FAIR,)),
        ]
    )
    assert chosen.chosen.name == "fair"
    assert chosen.unconstrained.name == "strong"
    assert chosen.cost == pytest.approx(0.03)
    assert [one.name for one in chosen.refused] == ["strong"]


def test_less_is_better_for_errors_and_costs():
    found = select([Candidate("a", {"brier": 0.2}, (FAIR,)), Candidate("b", {"brier": 0.1}, (FAIR,))], "brier")
    assert found.chosen.name == "b"
    assert found.cost == 0


def test_where_none_is_fair_the_closest_is_named_with_what_fails():
    with pytest.raises(FairnessViolation) as raised:
        select([Candidate("worse", {"roc_auc": 0.95}, (FAIR, WORSE)), Candidate("near", {"roc_auc": 0.9}, (UNFAIR,))])
    assert raised.value.closest.name == "near"
    assert "near comes closest" in raised.value.message
    assert "sex equal_opportunity_difference -0.306, 206% over the limit" in raised.value.message
    assert "--mitigate" in raised.value.next_step


def test_one_unfair_attribute_is_enough_to_refuse():
    with pytest.raises(FairnessViolation):
        select([Candidate("one", {"roc_auc": 0.9}, (FAIR, UNFAIR))])


def test_nothing_to_choose_from_and_unknown_metrics_are_refused():
    with pytest.raises(InvalidInput, match="no model"):
        select([])
    with pytest.raises(InvalidInput, match="Choose one of roc_auc"):
        select([Candidate("one", {"roc_auc": 0.9}, (FAIR,))], "beauty")
