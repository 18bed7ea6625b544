"""Feast takes 12 s to import."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from data.errors import InfrastructureError, InvalidInput, NotFound
from data.tabular.as_known import History, facts_as_corrected, facts_as_known
from data.tabular.claims import generate_claims
from data.tabular.table_spec import ClaimsSource

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Feast's and dask's own


@pytest.fixture(scope="module")
def data():
    return generate_claims(ClaimsSource(kind="claims", n_rows=1500, n_policies=400, missing=0.0, correction=0.3))


@pytest.fixture(scope="module")
def store(data, tmp_path_factory):
    from data.tabular.feature_store.store import PolicyStore

    store = PolicyStore(tmp_path_factory.mktemp("features"))
    store.write_history(data.policy_history)
    store.apply()
    store.materialize(data.claims["reported_time"].max())
    return store


@pytest.mark.parametrize(("as_known", "second"), [(True, facts_as_known), (False, facts_as_corrected)])
def test_training_facts_equal_those_of_our_own_join(store, data, as_known, second):
    from data.tabular.feature_store.store import TTL_DAYS

    found = store.training_facts(data.claims, "reported_time", as_known=as_known)
    ours = second(data.claims, History(data.policy_history, "policy_id"), "reported_time", ttl_days=TTL_DAYS)
    pd.testing.assert_frame_equal(found, ours[list(found)])


def test_the_join_as_known_and_the_one_that_leaks_differ(store, data):
    known = store.training_facts(data.claims, "reported_time")
    leaked = store.training_facts(data.claims, "reported_time", as_known=False)
    assert (known["credit_score"] != leaked["credit_score"]).mean() > 0.05


def test_two_rows_of_one_policy_and_moment_both_get_their_facts(store, data):
    twice = data.claims.tail(3).loc[lambda rows: rows.index.repeat(2)]
    found = store.training_facts(twice, "reported_time")
    assert len(found) == 6
    assert found.index.equals(twice.index)


def test_serving_reads_what_training_would_have_known(store, data):
    """The same facts through the online store and through the join of a row decided now."""
    now = data.claims["reported_time"].max()
    ids = data.policy_history["policy_id"].unique()[:50]
    trained = store.training_facts(pd.DataFrame({"policy_id": ids, "at": now}), "at")
    served = pd.DataFrame(store.online_facts(list(ids)))
    pd.testing.assert_frame_equal(served[list(trained)], trained)


def test_what_is_written_later_is_not_served_before(data, tmp_path):
    from data.tabular.feature_store.store import PolicyStore

    early = data.policy_history["created_timestamp"].quantile(0.5)
    store = PolicyStore(tmp_path)
    store.write_history(data.policy_history)
    store.apply()
    store.materialize(early.to_pydatetime())
    ids = list(data.policy_history["policy_id"].unique()[:50])
    asked = pd.DataFrame({"policy_id": ids, "at": early})
    ours = facts_as_known(asked, History(data.policy_history, "policy_id"), "at", ttl_days=365)
    served = pd.DataFrame(store.online_facts(ids), dtype=float)
    pd.testing.assert_frame_equal(served[list(ours)], ours)


def test_an_unknown_policy_has_no_facts(store):
    assert set(store.online_facts(["P999999"])[0].values()) == {None}


def test_the_feast_command_reads_the_repository(store):
    feast = Path(sys.executable).parent / "feast"
    out = subprocess.run(
        [feast, "-c", store.history_path.parent, "feature-views", "list"], capture_output=True, text=True, check=True
    )
    assert "policy_facts" in out.stdout


def test_an_incomplete_history_is_refused(store, data):
    with pytest.raises(InvalidInput, match="no credit_score"):
        store.write_history(data.policy_history.drop(columns="credit_score"))


def test_without_a_history_nothing_is_served(tmp_path):
    from data.tabular.feature_store.store import PolicyStore

    with pytest.raises(NotFound, match="no history"):
        PolicyStore(tmp_path).materialize(pd.Timestamp("2024-01-01"))


def test_a_store_that_cannot_be_opened_is_our_own_error(tmp_path):
    from data.tabular.feature_store.store import PolicyStore

    (tmp_path / "wrong.yaml").write_text("project: assay\nprovider: local\nonline_store: {type: carrier-pigeon}\n")
    with pytest.raises(InfrastructureError, match="Feast could not"):
        PolicyStore(tmp_path, tmp_path / "wrong.yaml").apply()
