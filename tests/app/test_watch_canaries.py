"""Canary questions asked of the real search, and the loss that alarms."""

import json
from datetime import UTC, datetime

import pytest
import yaml

from app.watch_canaries import recall_of
from data.records import Principal
from evals.drift.config import LanguageWatch, parse_watch
from evals.drift.index_monitors import canary_value
from tests.app.answering_product import LEAVE, TEA, product, put

NOW = datetime(2026, 3, 2, tzinfo=UTC)
QUESTIONS = (("How many weeks of parental leave may parents take?", "leave.md"), ("Is tea free?", "tea.md"))


@pytest.fixture
def watch(tmp_path) -> LanguageWatch:
    """Two questions with their documents, and one that names none and is not asked."""
    samples = [
        {"id": f"c{at}", "question": question, "answer": "So it is told.", "citations": [[name, "a quote"]]}
        for at, (question, name) in enumerate(QUESTIONS)
    ]
    samples.append({"id": "c2", "question": "Who is the king of France?", "answerable": False})
    (tmp_path / "canaries.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    suite = {
        "name": "canaries",
        "dataset": {"path": "canaries.jsonl"},
        "target": {"kind": "search"},
        "scorers": ["retrieval"],
    }
    path = tmp_path / "canaries.yaml"
    path.write_text(yaml.safe_dump(suite))
    return parse_watch({"name": "asked", "kind": "language", "knowledge": {"canaries": str(path)}})


def test_what_the_search_no_longer_finds_is_lost_recall_and_alarms(watch, tmp_path):
    with product(tmp_path / "home") as assay:
        put(assay, "leave.md", LEAVE)
        tea = put(assay, "tea.md", TEA)
        recall = recall_of(assay, watch)
        whole = recall(watch.knowledge)
        assert whole == (1.0, 2)
        before = canary_value(watch, whole, [], NOW)
        assert (before.value, before.is_alarm) == (0.0, False)
        assay.delete(tea, Principal())
        half = recall(watch.knowledge)
        assert half == (0.5, 2)
        now = canary_value(watch, half, [before], NOW)
        assert (now.value, now.is_alarm) == (0.5, True)
        assert "is 0.500; it was 1.000" in now.note


def test_canaries_see_no_more_than_the_watched_tenant_may(watch, tmp_path):
    with product(tmp_path / "home") as assay:
        put(assay, "leave.md", LEAVE)
        put(assay, "tea.md", TEA)
        elsewhere = watch.model_copy(update={"tenant": "another"})
        assert recall_of(assay, elsewhere)(watch.knowledge) == (0.0, 2)
