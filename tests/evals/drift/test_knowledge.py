from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from evals.drift.index_monitors import canary_value, index_values
from evals.drift.knowledge import Knowledge, index_health, load_knowledge
from evals.drift.records import MonitorValue
from tests.app.answering_product import told_product
from tests.evals.drift.asked import watch

NOW = datetime.now(UTC) + timedelta(minutes=1)


@pytest.fixture
def product(tmp_path):
    with told_product(tmp_path) as assay:
        yield assay


def test_the_nearest_chunk_is_found_in_pieces_as_in_one():
    rng = np.random.default_rng(0)
    chunks = rng.standard_normal((20_000, 4)).astype(np.float32)
    questions = rng.standard_normal((700, 4)).astype(np.float32)
    knowledge = Knowledge(tuple(map(str, range(len(chunks)))), chunks)
    similarity, which = knowledge.nearest(questions)
    scores = questions @ chunks.T
    np.testing.assert_allclose(similarity, scores.max(axis=1), rtol=1e-5)
    assert (which == scores.argmax(axis=1)).mean() > 0.999
    assert np.isnan(Knowledge((), np.empty((0, 4), np.float32)).nearest(questions)[0]).all()


def test_chunks_come_with_the_ids_that_hits_name(product):
    knowledge = load_knowledge(product.stores.database, product.embedder.id)
    ids = {hit.chunk.id for hit in product.search(_query("tea")).hits}
    assert ids <= set(knowledge.ids)
    np.testing.assert_allclose(np.linalg.norm(knowledge.vectors, axis=1), 1, atol=1e-2)


def _query(text):
    from data.records import Query

    return Query(text=text)


def test_what_is_wrong_with_an_index_is_counted_with_examples(product):
    database, embedder = product.stores.database, product.embedder.id
    ids = load_knowledge(database, embedder).ids
    health = index_health(
        database,
        [(ids[0], "doc_gone#4")],
        datetime.now(UTC) + timedelta(days=2),
        embedder=embedder,
        stale_days=1,
        has_changed=lambda uri, sha256: "tea" in uri,
    )
    assert health.n_ghosts == 1
    assert health.examples["ghosts"] == ("doc_gone#4",)
    assert health.n_never_retrieved == len(ids) - 1
    assert (health.n_stale, health.n_documents) == (1, 2)
    assert health.n_without_vector == 0
    assert index_health(database, [], NOW, embedder="another", stale_days=9).n_without_vector == len(ids)


def test_index_values_alarm_by_share_and_say_what_to_do(product):
    health = index_health(
        product.stores.database, [("doc_gone#4",)], NOW, embedder="another", stale_days=1, has_changed=lambda *_: False
    )
    values = {value.monitor: value for value in index_values(watch(), health, NOW)}
    assert values["index.without_vector"].is_alarm
    assert values["index.without_vector"].value == 1
    assert values["index.never_retrieved"].threshold is None
    assert "reindex" in values["index.without_vector"].detail["action"]


def test_canaries_alarm_when_recall_falls_below_the_best_before():
    before = [MonitorValue(monitor="canary.recall", at=NOW, value=0, detail={"recall": r}) for r in (0.8, 0.95)]
    assert not canary_value(watch(), (0.9, 40), before, NOW).is_alarm
    fallen = canary_value(watch(), (0.7, 40), before, NOW)
    assert fallen.is_alarm
    assert fallen.value == pytest.approx(0.25)
    assert not canary_value(watch(), (0.7, 40), [], NOW).is_alarm
