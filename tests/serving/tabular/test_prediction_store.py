from datetime import UTC, datetime, timedelta

import pytest

from data.errors import NotFound
from serving.tabular.prediction_store import KeptPrediction, PredictionLabel, PredictionStore, matrix_of
from tests.databases import new_database

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def kept(key: str, **changes) -> KeptPrediction:
    plain = {
        "model": "loans",
        "version": "1",
        "score": 0.25,
        "decision": False,
        "row": {"amount": 1.5},
        "features": b"\x00\x00\x80?",
        "at": NOON,
    }
    return KeptPrediction(key=key, **plain | changes)


@pytest.fixture
def store(tmp_path):
    database = new_database(tmp_path / "db")
    yield PredictionStore(database)
    database.close()


def every(store: PredictionStore, *args, **window) -> list[str]:
    return [one.key for page in store.each(*args, **window) for one in page]


def test_what_is_kept_comes_back_as_it_was(store):
    store.add([kept("a:0", entity="L1")])
    (page,) = store.each("loans")
    assert page == [kept("a:0", entity="L1")]
    assert matrix_of(page).tolist() == [[1.0]]
    assert page[0].request_id == "a"


def test_windows_versions_stages_and_the_newest_are_chosen(store):
    hours = [kept(f"r{h}:0", at=NOON + timedelta(hours=h)) for h in range(5)]
    store.add([*hours, kept("s:0", stage="shadow"), kept("v:0", version="2"), kept("o:0", model="other")])
    assert every(store, "loans", "1") == [f"r{h}:0" for h in range(5)]
    assert every(store, "loans", stages=("shadow",)) == ["s:0"]
    assert every(store, "loans", "1", since=NOON + timedelta(hours=2), until=NOON + timedelta(hours=4)) == [
        "r2:0",
        "r3:0",
    ]
    assert every(store, "loans", "1", limit=2) == ["r3:0", "r4:0"]


def test_pages_end_where_they_should(store, monkeypatch):
    monkeypatch.setattr("serving.tabular.prediction_store.PAGE", 2)
    store.add([kept(f"r{at}:0") for at in range(5)])
    assert [len(page) for page in store.each("loans")] == [2, 2, 1]


def test_a_label_names_a_prediction_or_a_row_and_the_newest_counts(store):
    store.add([kept("a:0", entity="L1"), kept("b:0", entity="L2"), kept("c:0")])
    labels = [
        PredictionLabel(subject=s, label=x, known_at=NOON) for s, x in (("L1", True), ("a:0", False), ("L2", True))
    ]
    assert store.label("loans", labels) == 2
    assert store.label("loans", [PredictionLabel(subject="L2", label=False, known_at=NOON)]) == 1
    (page,) = store.labelled("loans")
    assert [(one.prediction.key, one.label) for one in page] == [("a:0", False), ("b:0", False), ("c:0", None)]


def test_labels_of_one_tenant_are_not_anothers(store):
    store.add([kept("a:0", entity="L1", tenant="acme"), kept("b:0", entity="L1", tenant="zeta")])
    assert store.label("loans", [PredictionLabel(subject="L1", label=True, known_at=NOON)], tenant="acme") == 1
    (page,) = store.labelled("loans")
    assert {one.prediction.tenant: one.label for one in page} == {"acme": True, "zeta": None}


def test_a_prediction_is_found_by_its_tenant_alone_and_never_a_shadows(store):
    store.add([kept("a:0", tenant="acme"), kept("s:0", stage="shadow")])
    assert store.find("a:0", "acme").key == "a:0"
    for key, tenant in (("a:0", "default"), ("s:0", "default"), ("zz", "acme")):
        with pytest.raises(NotFound):
            store.find(key, tenant)


def test_a_subject_brings_all_stages(store):
    store.add([kept("a:0", entity="L1"), kept("a:0", entity="L1", stage="shadow", version="2")])
    assert [one.stage for one in store.of_subjects("loans", ["L1"])] == ["champion", "shadow"]
    assert [one.stage for one in store.of_subjects("loans", ["a:0", "L1"])] == ["champion", "shadow"]


def test_old_predictions_go_and_their_labels_with_them(store):
    store.add([kept("old:0", at=NOON - timedelta(days=400)), kept("new:0", at=datetime.now(UTC))])
    labels = [PredictionLabel(subject=s, label=True, known_at=NOON) for s in ("old:0", "new:0")]
    store.label("loans", labels)
    assert store.prune(datetime.now(UTC) + timedelta(seconds=-1)) == 1
    store.prune(datetime.now(UTC) + timedelta(days=1))
    assert every(store, "loans") == []
