from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from evals.drift.requests import LoggedRequest, RequestFilter, RequestStore
from tests.databases import new_database

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    database = new_database(tmp_path / "assay.db")
    yield RequestStore(database)
    database.close()


def request(n, **changes) -> LoggedRequest:
    vector = np.array([1, 0], "<f2").tobytes()
    given = {"tenant": "default", "embedder": "e", "embedding": vector, "question": f"q{n}"} | changes
    return LoggedRequest(receipt_id=f"r{n}", at=NOON + timedelta(hours=n), **given)


def test_a_window_holds_its_beginning_and_not_its_end(store):
    store.append([request(n) for n in (2, 0, 1, 3)])
    found = store.window(NOON, NOON + timedelta(hours=3))
    assert found.questions == ("q0", "q1", "q2")
    assert store.span() == (NOON, NOON + timedelta(hours=3), 4)


def test_only_the_wanted_tenant_and_collection(store):
    store.append(
        [request(0, tenant="a", collection="x"), request(1, tenant="a"), request(2, tenant="b", collection="x")]
    )
    later = NOON + timedelta(days=1)
    assert store.window(NOON, later, RequestFilter("a")).receipt_ids == ("r0", "r1")
    assert store.window(NOON, later, RequestFilter("a", "x")).receipt_ids == ("r0",)
    assert store.span(RequestFilter("c")) is None


def test_vectors_of_another_embedder_are_as_good_as_none(store):
    other = np.ones(3, "<f2").tobytes()
    store.append([request(0, embedder="old", embedding=other), request(1), request(2, embedding=b"", embedder="")])
    found = store.window(NOON, NOON + timedelta(days=1))
    assert found.embedder == "e"
    assert found.has_vector.tolist() == [False, True, False]
    assert store.window(NOON, NOON + timedelta(days=1), embedder="old").vectors.shape == (3, 3)
    assert found.part(np.array([False, True, True])).questions == ("q1", "q2")


def test_purging_deletes_what_is_older(store):
    store.append([request(n) for n in range(3)])
    assert store.purge(NOON + timedelta(hours=2)) == 2
    assert store.span()[2] == 1
