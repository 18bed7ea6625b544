import sqlite3
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import event

from app.watch import RequestWatch, logged
from app.watch_config import WatchConfig
from app.wiring import build_watch
from data.database import Database
from data.records import Answer, EventType, Principal, Query, Receipt, ReceiptHit, Sentence, StageScore, Support, Usage
from evals.drift.requests import RequestStore
from tests.app.answering_product import ASKER, told_product
from tests.databases import new_database

NOON = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def receipt(n: int = 0, text: str = "Is tea free?", **changes) -> Receipt:
    asker = Principal(tenant=changes.pop("tenant", "default"), subject="ada")
    hits = (
        ReceiptHit(
            chunk_id="doc_1#0",
            document_version=1,
            text_sha256="x",
            start=0,
            end=9,
            score=0.9,
            stages={"dense": StageScore(rank=1, score=0.7)},
        ),
        ReceiptHit(chunk_id="doc_2#1", document_version=1, text_sha256="x", start=0, end=9, score=0.4),
    )
    answer = Answer(
        text="Tea is free.",
        sentences=(
            Sentence(text="Tea is free.", support=Support.SUPPORTED),
            Sentence(text="So is gold.", support=Support.UNSUPPORTED),
            Sentence(text="Hello.", support=Support.UNCHECKED),
        ),
        usage=Usage(prompt_tokens=30, completion_tokens=4),
        timings_ms={"retrieve": 5.0, "answer": 2.5},
        model="extractive",
    )
    given = {"created_at": NOON + timedelta(minutes=n), "answer": answer, "hits": hits} | changes
    return Receipt(
        id=f"rcpt_{n}",
        principal=asker,
        question=text,
        search_text=text,
        query=Query(text=text, principal=asker, collection="handbook"),
        snapshot_id="s",
        **given,
    )


@pytest.fixture
def database(tmp_path):
    opened = new_database(tmp_path / "assay.db")
    yield opened
    opened.close()


def watching(database, **settings) -> RequestWatch:
    return RequestWatch(RequestStore(database), WatchConfig(**settings))


def test_an_answer_leaves_its_numbers_and_its_vector(database):
    watch = watching(database)
    watch.embedded("Is tea free?", "hash@1", np.array([0.6, 0.8], np.float32))
    watch.seen(receipt())
    watch.close()
    window = RequestStore(database).window(*ALWAYS)
    assert window.questions == ("Is tea free?",)
    assert window.at == (NOON,)
    assert window.embedder == "hash@1"
    np.testing.assert_allclose(window.vectors, [[0.6, 0.8]], atol=1e-3)
    measured = {name: float(column[0]) for name, column in window.numbers.items()}
    assert measured["similarity"] == 0.7
    assert measured["score"] == 0.9
    assert measured["score_gap"] == pytest.approx(0.5)
    assert measured["support"] == 0.5
    assert measured["latency_ms"] == 7.5
    assert measured["tokens"] == 34
    assert np.isnan(measured["toxicity"])
    assert np.isnan(measured["thumbs_down"])
    assert window.chunk_ids == (("doc_1#0", "doc_2#1"),)
    assert watch.counts == {"logged": 1, "dropped": 0, "failed": 0, "skipped": 0}


def test_the_log_holds_no_personal_data_and_no_answer(database):
    watch = watching(database)
    watch.seen(receipt(text="Write to jane.doe@example.com, she knows"))
    watch.close()
    kept = RequestStore(database).window(*ALWAYS)
    assert kept.questions == ("Write to [email], she knows",)
    assert "Tea is free." not in str(kept)
    assert "ada" not in str(kept)


def test_the_settings_may_keep_neither_words_nor_vectors(database):
    watch = watching(database, keeps_text=False, keeps_vectors=False)
    watch.embedded("Is tea free?", "hash@1", np.ones(2, np.float32))
    watch.seen(receipt())
    watch.close()
    kept = RequestStore(database).window(*ALWAYS)
    assert kept.questions == ("",)
    assert kept.vectors.shape == (1, 0)


def test_tenants_that_have_not_consented_leave_nothing(database):
    watch = watching(database, excluded_tenants=("private",))
    watch.seen(receipt(0, tenant="private"))
    watch.seen(receipt(1))
    watch.close()
    assert RequestStore(database).window(*ALWAYS).receipt_ids == ("rcpt_1",)
    assert watch.counts["skipped"] == 1


def test_a_share_of_the_requests_is_logged(database):
    watch = watching(database, share=0.3)
    watch._chance.seed(1)
    for n in range(400):
        watch.seen(receipt(n))
    watch.close()
    assert 90 < watch.counts["logged"] < 150
    assert watch.counts["logged"] + watch.counts["skipped"] == 400


def test_without_room_on_the_disk_requests_go_on_and_the_loss_is_counted(tmp_path):
    new_database(tmp_path / "full.db").close()
    database = Database(f"sqlite:///{tmp_path / 'full.db'}")

    @event.listens_for(database.engine, "connect")
    def _no_more_pages(connection, _record):
        connection.execute("pragma max_page_count = 1")  # SQLite answers: database or disk is full

    watch = watching(database, queue=5000)
    for n in range(300):
        watch.seen(receipt(n, text="What is tea? " * 200))
    watch.close()
    database.close()
    assert watch.counts["failed"] > 0
    assert watch.counts["failed"] + watch.counts["logged"] == 300


def test_while_the_database_is_locked_requests_go_on_and_what_finds_no_room_is_dropped(database, tmp_path):
    watch = watching(database, queue=10)
    lock = sqlite3.connect(tmp_path / "assay.db", isolation_level=None)
    lock.execute("begin immediate")
    began = time.perf_counter()
    for n in range(200):
        watch.seen(receipt(n))
    waited = time.perf_counter() - began
    lock.execute("rollback")
    lock.close()
    watch.close()
    assert waited < 0.2
    assert watch.counts["dropped"] > 100
    assert watch.counts["dropped"] + watch.counts["logged"] == 200
    assert watch.counts["logged"] >= 10


def test_a_broken_store_is_counted_and_the_next_request_is_logged(database):
    class Breaking(RequestStore):
        broken = True

        def append(self, requests):
            if self.broken:
                raise RuntimeError("the disk is gone")
            super().append(requests)

    store = Breaking(database)
    watch = RequestWatch(store, WatchConfig())
    watch.seen(receipt(0))
    assert watch.flush()
    store.broken = False
    watch.seen(receipt(1))
    watch.close()
    assert watch.counts == {"logged": 1, "dropped": 0, "failed": 1, "skipped": 0}


def test_rows_older_than_the_retention_are_deleted(database):
    store = RequestStore(database)
    old = receipt(0, created_at=datetime.now(UTC) - timedelta(days=40))
    store.append([logged(old, None, WatchConfig())])
    watch = watching(database, retention_days=30)
    watch.seen(receipt(1, created_at=datetime.now(UTC)))
    watch.close()
    assert store.window(*ALWAYS).receipt_ids == ("rcpt_1",)


def test_many_threads_log_all_that_they_see(database):
    watch = watching(database)
    threads = [
        threading.Thread(target=lambda at=at: [watch.seen(receipt(at * 50 + n)) for n in range(50)]) for at in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    watch.close()
    assert len(set(RequestStore(database).window(*ALWAYS).receipt_ids)) == 200


@pytest.fixture
def product(tmp_path):
    with told_product(tmp_path) as assay:
        assay.stores = replace(assay.stores, watch=build_watch(_settings(tmp_path), assay.stores.database))
        yield assay


def _settings(home):
    from app.settings import Settings

    return Settings(home=home)


def ask(assay, question: str):
    return next(e for e in assay.ask(question, principal=ASKER) if e.type is EventType.FINAL).answer


def test_asking_the_product_leaves_a_row_with_the_vector_of_the_search(product):
    answer = ask(product, "Is tea free in the kitchen?")
    assert product.stores.watch.flush()
    window = RequestStore(product.stores.database).window(*ALWAYS)
    assert window.receipt_ids == (answer.receipt_id,)
    assert window.has_vector.all()
    np.testing.assert_allclose(window.vectors[0], product.embed(["Is tea free in the kitchen?"], "query")[0], atol=1e-3)
    product.feedback(answer.receipt_id, ASKER, "down")
    assert RequestStore(product.stores.database).window(*ALWAYS).numbers["thumbs_down"].tolist() == [1.0]


def test_a_document_that_is_deleted_takes_along_the_words_of_who_was_shown_it(product):
    ask(product, "Is tea free in the kitchen?")
    product.stores.watch.flush()
    (document,) = [d for d in product.documents(ASKER)[0] if "tea" in d.uri]
    store = RequestStore(product.stores.database)
    assert store.n_mentions(document.id) == 1
    product.delete(document.id, ASKER)
    assert store.n_mentions(document.id) == 0
    assert store.window(*ALWAYS).questions == ("",)
