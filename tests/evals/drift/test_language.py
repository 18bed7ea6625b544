from datetime import timedelta

import pytest

from evals.drift.language import LanguageBaseline
from tests.evals.drift.asked import MONDAY, knowledge, watch, window

LATER = MONDAY + timedelta(days=28)


@pytest.fixture(scope="module")
def baseline():
    return LanguageBaseline(watch(), window(600, 0, days=28), knowledge())


def test_the_budget_is_shared_by_what_can_be_measured(baseline):
    assert set(baseline.monitors) == {
        "embedding.classifier",
        "embedding.mmd",
        "embedding.frechet",
        "requests.similarity",
        "requests.supported",
        "requests.length",
        "requests.latency_ms",
        "requests.abstained",
        "coverage.far",
    }
    assert baseline.streams == ("novelty", "similarity", "unsupported", "latency")
    spent = baseline.allowance.alpha * len(baseline.monitors) * 30 / 7
    spent += len(baseline.streams) * 600 / 28 * 30 / baseline.allowance.run_length
    assert spent == pytest.approx(1, rel=0.01)


def test_a_window_like_the_reference_is_quiet(baseline):
    baseline.reset_streams()
    same = window(150, 1, start=LATER)
    assert [v.monitor for v in (*baseline.compare(same), *baseline.follow(same)) if v.is_alarm] == []


def test_new_questions_alarm_where_they_should(baseline):
    baseline.reset_streams()
    drifted = window(150, 2, new=0.3, start=LATER)
    alarmed = {v.monitor for v in (*baseline.compare(drifted), *baseline.follow(drifted)) if v.is_alarm}
    assert {"embedding.mmd", "coverage.far", "requests.abstained", "stream.similarity", "stream.novelty"} <= alarmed
    assert "requests.latency_ms" not in alarmed
    assert "stream.latency" not in alarmed


def test_slow_answers_alarm_as_latency_alone(baseline):
    baseline.reset_streams()
    slow = window(150, 3, start=LATER, slow=2.0)
    alarmed = {v.monitor for v in (*baseline.compare(slow), *baseline.follow(slow)) if v.is_alarm}
    assert alarmed == {"requests.latency_ms", "stream.latency"}


def test_streams_go_on_from_window_to_window(baseline):
    baseline.reset_streams()
    first = {v.monitor: v.value for v in baseline.follow(window(40, 4, new=0.15, start=LATER))}
    second = {v.monitor: v.value for v in baseline.follow(window(40, 5, new=0.15, start=LATER + timedelta(days=2)))}
    assert second["stream.similarity"] > first["stream.similarity"]


def test_without_vectors_what_was_measured_is_watched_still():
    bare = window(300, 0)
    bare = type(bare)(bare.at, bare.questions, bare.vectors[:, :0], "", bare.numbers, bare.chunk_ids, bare.receipt_ids)
    baseline = LanguageBaseline(watch(), bare)
    assert not baseline.has_vectors
    assert "novelty" not in baseline.streams
    assert {v.monitor for v in baseline.compare(bare)} == set(baseline.monitors)
