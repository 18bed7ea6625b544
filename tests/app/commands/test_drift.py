import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from data.database import Database
from evals.drift.requests import VECTOR, LoggedRequest, RequestStore
from evals.drift.store import DriftStore
from tests.app.commands.conftest import ends_with_example
from tests.evals.drift.asked import window

QUESTIONS_ALONE = {"knowledge": {"is_watched": False}}
END = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
START = END - timedelta(days=42)


@pytest.fixture
def database(home):
    opened = Database(f"sqlite:///{home / 'var' / 'assay.db'}")
    yield opened
    opened.close()


@pytest.fixture
def watch(tmp_path, database):
    """Six weeks of requests; in the last of them a third is about visas. The YAML of a watch over them."""
    rows = []
    for week in range(6):
        found = window(100, week, new=0.35 if week == 5 else 0, start=START + timedelta(days=7 * week))
        rows += [_logged(found, place) for place in range(len(found))]
    RequestStore(database).append(rows)
    path = tmp_path / "asked.yaml"
    reference = {"until": (START + timedelta(days=28)).isoformat()}
    path.write_text(
        yaml.safe_dump(
            {"name": "asked", "kind": "language", "reference": reference, "evidently": False} | QUESTIONS_ALONE
        )
    )
    return path


def _logged(found, place) -> LoggedRequest:
    number = {name: float(column[place]) for name, column in found.numbers.items()}
    return LoggedRequest(
        receipt_id=f"{found.receipt_ids[place]}",
        tenant="default",
        at=found.at[place],
        question=found.questions[place],
        embedder="e",
        embedding=found.vectors[place].astype(VECTOR).tobytes(),
        similarity=number["similarity"],
        abstained=bool(number["abstained"]),
        support=None if np.isnan(number["support"]) else number["support"],
        length=0 if np.isnan(number["length"]) else int(number["length"]),
        latency_ms=number["latency_ms"],
    )


@pytest.mark.slow
def test_a_quiet_week_exits_0_and_a_drifted_one_1_with_alarm_cause_and_page(run, watch, home, database):
    quiet = run("drift", "check", watch, "--at", (START + timedelta(days=35)).isoformat(), "--json")
    assert quiet.code == 0, quiet.err
    assert quiet.json["outcome"] == "quiet"
    loud = run("drift", "check", watch, "--at", END.isoformat(), "--json")
    assert loud.code == 1
    assert "visa" in loud.json["causes"][0]["told"]
    assert loud.json["event"] == "opened"
    assert {v["monitor"] for v in loud.json["values"] if v["is_alarm"]} >= {"embedding.mmd", "stream.similarity"}
    page = home / "var" / loud.json["reports"]["html"]
    assert "Asked, and not in the knowledge base" in page.read_text()
    assert [c.outcome for c in DriftStore(database).checks("asked")] == ["alarm", "quiet"]


def test_too_few_requests_exit_3_and_say_how_many_are_needed(run, watch):
    found = run("drift", "check", watch, "--at", (END + timedelta(days=30)).isoformat())
    assert found.code == 3
    assert "0 in the window; 50 are needed" in found.out


def test_wrong_use_exits_2_and_names_what_is_wrong(run, watch, tmp_path):
    assert run("drift", "check", "nothing").code == 2
    assert "is no time" in run("drift", "check", watch, "--at", "soon").err
    (tmp_path / "bad.yaml").write_text("{name: bad, kind: language, windw: 3}")
    bad = run("drift", "check", tmp_path / "bad.yaml")
    assert bad.code == 2
    assert "windw: there is no such field" in bad.err
    early = run("drift", "check", watch, "--at", START.isoformat())
    assert early.code == 2
    assert "reference ends" in early.err


def test_a_database_that_is_none_exits_4(run, watch, home):
    (home / "var" / "assay.db").write_bytes(b"no database" * 200)
    found = run("drift", "check", watch)
    assert found.code in (4, 1)
    assert found.err


@pytest.mark.slow
def test_a_dry_check_stores_nothing(run, watch, database):
    assert run("drift", "check", watch, "--at", END.isoformat(), "--dry").code == 1
    assert DriftStore(database).checks() == []
    assert DriftStore(database).alarms() == []


@pytest.mark.slow
def test_a_replay_says_what_would_have_fired_and_when(run, watch, database):
    rows = run(
        "drift", "replay", watch, "--from", (START + timedelta(days=28)).isoformat(), "--to", END.isoformat(), "--json"
    ).json
    assert [row["outcome"] for row in rows] == ["quiet", "alarm"]
    assert "visa" in rows[1]["cause"]
    assert DriftStore(database).checks() == []


@pytest.mark.slow
def test_confirming_writes_a_suite_that_loads_and_a_person_may_close_and_silence(run, watch, tmp_path):
    from evals.dataset import load_samples
    from evals.suite import load_suite

    opened = run("drift", "check", watch, "--at", END.isoformat(), "--json").json["alarm"]["id"]
    confirmed = run("drift", "confirm", opened[:8], watch, "--who", "ada", "--suites", tmp_path / "generated", "--json")
    assert confirmed.code == 0, confirmed.err
    suite = load_suite(confirmed.json["path"])
    samples = load_samples(suite.dataset)
    assert samples
    assert all(not sample.metadata["reviewed"] for sample in samples)
    assert np.mean(["visa" in sample.question for sample in samples]) > 0.9
    assert run("drift", "alarms", "--open", "--json").json[0]["status"] == "confirmed"
    assert "To do" in run("drift", "alarms", opened).out
    assert run("drift", "silence", "asked", "--days", "2").code == 0
    assert run("drift", "close", opened).code == 0
    assert run("drift", "alarms", "--open", "--json").json == []


@pytest.mark.slow
def test_reports_are_named_and_copied(run, watch, tmp_path):
    assert run("drift", "report", "asked").code == 2
    run("drift", "check", watch, "--at", END.isoformat())
    copied = tmp_path / "drift.html"
    found = run("drift", "report", "asked", "--out", copied, "--json").json
    assert copied.read_text() == Path(found["files"]["html"]).read_text()


@pytest.mark.slow
def test_watches_are_listed_with_their_newest_check(run, watch):
    run("drift", "check", watch, "--at", END.isoformat())
    told = run("drift", "list").out
    assert "asked" in told
    assert "never checked" in told
    status = json.loads(run("watch", "status", "--json").out)
    assert status["requests"] == 600
    assert status["open_alarms"] == {"asked": 1}
    assert "600 requests logged" in run("watch", "status").out


@pytest.mark.parametrize("verb", ["check", "report", "replay", "list", "alarms", "confirm", "close", "silence"])
def test_help_ends_with_an_example(run, verb):
    assert ends_with_example(run("drift", verb, "--help").out, "drift")
