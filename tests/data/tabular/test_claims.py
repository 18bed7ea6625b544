import numpy as np
import pandas as pd
import pytest

from data.tabular.as_known import History, audit
from data.tabular.claims import generate_claims
from data.tabular.table_spec import ClaimsSource


def claims(**given) -> pd.DataFrame:
    return generate_claims(source(**given)).claims


def source(**given) -> ClaimsSource:
    return ClaimsSource(**({"kind": "claims", "n_rows": 4000, "n_policies": 1500} | given))


@pytest.fixture(scope="module")
def plain() -> pd.DataFrame:
    return claims()


def test_equal_seeds_give_equal_tables_and_others_do_not(plain):
    pd.testing.assert_frame_equal(claims(), plain)
    assert not claims(seed=8)["claim_amount"].equals(plain["claim_amount"])


def test_times_follow_one_another(plain):
    assert (plain["policy_start"] <= plain["incident_time"]).all()
    assert (plain["incident_time"] <= plain["reported_time"]).all()
    assert (plain["reported_time"] <= plain["label_known_at"]).all()
    assert plain["reported_time"].is_monotonic_increasing


def test_labels_come_late_by_the_days_asked_for():
    wait = claims(label_delay_days=90)
    days = (wait["label_known_at"] - wait["reported_time"]).dt.total_seconds() / 86_400
    assert days.mean() == pytest.approx(90, rel=0.1)


def test_frauds_are_rare_and_told_by_the_features(plain):
    fraud = plain["fraud"]
    assert 0.03 < fraud.mean() < 0.12
    unreported_theft = (plain["claim_type"] == "theft") & (plain["police_report"] == False).fillna(False)  # noqa: E712
    assert fraud[unreported_theft].mean() > 2 * fraud.mean()
    assert plain["credit_score"][fraud].mean() < plain["credit_score"][~fraud].mean() - 20


def test_drift_moves_amounts_and_channels_by_the_last_months_alone():
    moved, still = claims(drift=1.0), claims(drift=0.0)

    def last_against_first(frame: pd.DataFrame) -> tuple[float, float]:
        tenth = len(frame) // 10
        first, last = frame.head(tenth), frame.tail(tenth)
        amount = np.log(last["claim_amount"]).mean() - np.log(first["claim_amount"]).mean()
        return amount, (last["channel"] == "app").mean() - (first["channel"] == "app").mean()

    assert last_against_first(moved)[0] > last_against_first(still)[0] + 0.2
    assert last_against_first(moved)[1] > 0.2
    assert abs(last_against_first(still)[1]) < 0.08


def test_a_concept_shift_changes_labels_and_not_columns():
    shifted, still = claims(concept_shift=1.0, n_rows=8000), claims(n_rows=8000)
    pd.testing.assert_series_equal(shifted["claim_amount"], still["claim_amount"])
    by_app = still["channel"] == "app"
    late = np.arange(8000) > 5000
    assert shifted["fraud"][by_app & late].mean() > 1.5 * still["fraud"][by_app & late].mean()


def test_a_planted_bias_raises_the_labels_of_women_alone():
    biased, fair = claims(bias=3.0), claims()
    women = fair["sex"] == "female"
    assert biased["fraud"][women].mean() > fair["fraud"][women].mean() + 0.05
    assert biased["fraud"][~women].equals(fair["fraud"][~women])
    assert abs(fair["fraud"][women].mean() - fair["fraud"][~women].mean()) < 0.02


def test_values_are_missing_by_the_share_asked_for():
    holes = claims(missing=0.3)
    assert holes["credit_score"].isna().mean() == pytest.approx(0.3, abs=0.03)
    full = claims(missing=0.0)
    assert full[["credit_score", "police_report", "n_witnesses", "vehicle_value"]].notna().mean().min() > 0.99


def test_corrections_written_late_are_found_by_the_audit():
    data = generate_claims(source(missing=0.0))
    found = audit(data.claims, History(data.policy_history, "policy_id"), "reported_time")
    assert 0.03 < found.n_changed / found.n_rows < 0.3
    none = generate_claims(source(missing=0.0, correction=0.0))
    only_delay = audit(none.claims, History(none.policy_history, "policy_id"), "reported_time")
    assert only_delay.n_changed < found.n_changed / 2


def test_corrections_know_the_answer_so_that_leaking_them_pays():
    """What makes the audit matter: corrected scores separate frauds better than those known then."""
    from data.tabular.as_known import facts_as_corrected

    data = generate_claims(source(missing=0.0, correction=0.3, n_rows=8000))
    leaked = facts_as_corrected(data.claims, History(data.policy_history, "policy_id"), "reported_time")
    fraud = data.claims["fraud"]

    def gap(column: pd.Series) -> float:
        return float((column[~fraud].mean() - column[fraud].mean()) / column.std())

    assert gap(leaked["credit_score"]) > gap(data.claims["credit_score"]) + 0.1
