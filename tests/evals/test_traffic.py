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
