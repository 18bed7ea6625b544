import time

import pytest

from serving.tabular.config import TabularConfig
from serving.tabular.prediction_log import PredictionLog
from serving.tabular.prediction_store import PredictionStore
from tests.databases import new_database
from tests.serving.tabular.test_prediction_store import kept


class BrokenStore:
    def add(self, kept):
        raise OSError("the disk is full")


@pytest.fixture
def store(tmp_path):
    database = new_database(tmp_path / "db")
    yield PredictionStore(database)
    database.close()


def test_predictions_are_written_in_the_background(store):
    log = PredictionLog(store, TabularConfig(log_flush_s=0.02, keep_days=36_500))
    log.keep([kept("a:0"), kept("a:1")])
    deadline = time.monotonic() + 10
    while not (found := next(store.each("loans"), [])):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert len(found) == 2
    log.close()


def test_what_waits_is_written_at_the_end(store):
    log = PredictionLog(store, TabularConfig(log_flush_s=60))
    log.keep([kept("a:0")])
    log.close()
    assert len(next(store.each("loans"))) == 1


def test_a_database_that_fails_fails_no_request_and_is_counted():
    log = PredictionLog(BrokenStore(), TabularConfig(log_flush_s=60))
    log.keep([kept("a:0"), kept("a:1")])
    log.flush()
    assert log.n_lost == 2
    log.close()


def test_a_full_queue_loses_the_newest_and_counts_them(store):
    log = PredictionLog(store, TabularConfig(log_flush_s=60, log_queue=2))
    log.keep([kept("a:0"), kept("a:1")])
    log.keep([kept("b:0")])
    assert log.n_lost == 1
    log.close()
    assert len(next(store.each("loans"))) == 2


def test_the_sample_is_by_request_and_of_the_stated_size():
    log = PredictionLog(BrokenStore(), TabularConfig(log_share=0.3))
    chosen = [log.wants(f"request-{n}") for n in range(4000)]
    assert 0.27 < sum(chosen) / 4000 < 0.33
    assert chosen == [log.wants(f"request-{n}") for n in range(4000)]
    assert not any(PredictionLog(BrokenStore(), TabularConfig(log_share=0)).wants(f"r{n}") for n in range(100))
    assert all(PredictionLog(BrokenStore(), TabularConfig(log_share=1)).wants(f"r{n}") for n in range(100))
