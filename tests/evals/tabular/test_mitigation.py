import numpy as np
import pytest

from data.errors import InvalidInput
from data.tabular.model import Costs
from evals.tabular.fairness import FairnessRule
from evals.tabular.metrics import Scored
from evals.tabular.mitigation import Case, group_thresholds
from tests.evals.tabular.loans import loans


def biased(n: int = 4000, favourable: str = "positive", seed: int = 0) -> Case:
    """Women earn less in this table, so that one threshold for all selects fewer of them."""
    rng = np.random.default_rng(seed)
    is_man = rng.random(n) < 0.5
    scores = 1 / (1 + np.exp(-(rng.normal(0, 1.3, n) + np.where(is_man, 0.6, -0.6))))
    labels = (rng.random(n) < scores).astype(np.int8)
    return Case(Scored(labels, scores, 0.5, Costs(1, 1)), is_man, favourable, "sex")


def test_thresholds_by_group_mend_parity_and_the_cost_is_told():
    found = group_thresholds(biased(), "statistical_parity_difference")
    before = found.fair_before.figures["statistical_parity_difference"]
    after = found.fair_after.figures["statistical_parity_difference"]
    assert before.verdict == "fail"
    assert after.verdict == "pass"
    assert found.thresholds["unprivileged"] < found.thresholds["privileged"]
    assert 0 < found.before["accuracy"] - found.after["accuracy"] < 0.1
    assert found.before["roc_auc"] == found.after["roc_auc"]  # the ranking is the same
    assert 0.05 < found.share_changed < 0.4


def test_what_is_fair_already_keeps_its_threshold_about():
    one = loans(3000)
    case = Case(Scored(one.labels, one.truth, 0.5), (one.frame["sex"] == "m").to_numpy(), "positive", "sex")
    found = group_thresholds(case)
    assert abs(found.before["accuracy"] - found.after["accuracy"]) < 0.01


def test_where_no_is_good_the_costs_stay_those_of_the_model():
    """A missed positive costs 20: with a negative decision as the favourable one, thresholds must still be low."""
    case = biased(favourable="negative")
    dear = Case(Scored(case.scored.labels, case.scored.scores, 0.05, Costs(1, 20)), case.privileged, "negative", "sex")
    found = group_thresholds(dear, "equal_opportunity_difference", FairnessRule(max_difference=1.0))
    assert max(found.thresholds.values()) < 0.25
    assert found.after["cost"] <= found.before["cost"] * 1.1


def test_the_same_rows_never_choose_and_measure():
    case = biased(400)
    found = group_thresholds(case)
    assert sum(found.fair_after.n_rows) < 250


def test_whole_clusters_choose_or_measure():
    case = biased(400)
    clusters = np.repeat(np.arange(40), 10)
    scored = Scored(case.scored.labels, case.scored.scores, clusters=clusters)
    found = group_thresholds(Case(scored, case.privileged, "positive", "sex"))
    assert sum(found.fair_after.n_rows) % 10 == 0


def test_a_group_too_small_to_split_is_refused():
    case = biased(50)
    with pytest.raises(InvalidInput, match="too few rows"):
        group_thresholds(Case(case.scored, np.arange(50) > 0, "positive", "sex"))
