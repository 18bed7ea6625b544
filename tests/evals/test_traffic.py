from datetime import UTC, datetime, timedelta

import pytest

from evals.drift.requests import LoggedRequest, RequestStore
from evals.traffic import Traffic
from tests.databases import new_database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def request(n: int, days: float, **fields) -> LoggedRequest:
    return LoggedRequest(receipt_id=f"r{n}", tenant="t", at=NOW - timedelta(days=days), **fields)


def test_requests_add_up_by_day_and_model_and_what_was_not_checked_is_in_no_mean(tmp_path):
    database = new_database(tmp_path / "x.db")
    RequestStore(database).append(
        [
            request(1, 1, model="a", support=1.0, latency_ms=10, prompt_tokens=5),
            request(2, 1.2, model="a", support=0.5, latency_ms=20, prompt_tokens=6, abstained=True),
            request(3, 1, model="a", latency_ms=30),
            request(4, 0, model="b", latency_ms=1),
            request(5, 99, model="b"),
        ]
    )
    first, second = Traffic(database).by_day(NOW - timedelta(days=30))
    database.close()
    assert (first.day, first.model, first.n, first.n_abstained) == ("2026-02-28", "a", 3, 1)
    assert (first.support, first.latency_ms, first.prompt_tokens) == (pytest.approx(0.75), 20, 11)
    assert (second.day, second.model, second.support) == ("2026-03-01", "b", None)


def test_days_that_are_over_are_summed_once_and_again_when_an_old_log_is_brought(tmp_path):
    database, now = new_database(tmp_path / "x.db"), datetime.now(UTC)
    store, traffic = RequestStore(database), Traffic(database)

    def add(n: int, days: float) -> None:
        store.append([LoggedRequest(receipt_id=f"r{n}", tenant="t", at=now - timedelta(days=days))])

    def counts(days: int) -> list[int]:
        return [day.n for day in traffic.by_day(now - timedelta(days=days))]

    add(1, 5), add(2, 0)
    assert counts(30) == [1, 1]
    add(3, 0)
    assert counts(30) == [1, 2], "today is never remembered"
    with database.append() as connection:
        connection.exec_driver_sql("delete from watch_requests where receipt_id = 'r1'")
    assert counts(30) == [1, 2], "the day was over: its sums outlive its rows"
    assert counts(2) == [2]
    add(4, 5)
    assert counts(30) == [1, 2], "the old day was read again"
    assert counts(60) == [1, 2]
    database.close()
