"""The dashboard as a client without scripts sees it: every view, its tables, who may see it, wrong input."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.api.access import COOKIE
from app.dashboard import build_dashboard
from app.receipts import ReceiptStore, seal
from app.settings import Settings
from data.records import Answer, EvalRow, EvalRun, Observation, Principal
from evals.digest import digested
from evals.store import EvalStore
from tests.app.api.conftest import local_client
from tests.app.api.fake_assay import FakeAssay, fake_product
from tests.app.web.watched import HOSTILE

pytestmark = pytest.mark.slow  # the history that they look at takes seconds to make
RUN, FAILED, BEGUN = "run_000000000020", "run_failed000000", "run_begun0000000"
SAMPLE = f"/runs/{RUN}/sample?id=handbook-003"
VIEWS = {
    "": ["findings", "suites", "watches", "verdicts"],
    "/runs": ["trend", "runs"],
    "/runs?suite=handbook&metric=support_rate&slice=topic%3Dpay&gate=true": ["trend", "runs"],
    f"/runs/{RUN}": ["metrics", "samples"],
    f"/runs/{RUN}?slice=topic%3Dpay&only=errors": ["samples"],
    f"/runs/{FAILED}": ["samples"],
    f"/runs/{BEGUN}": ["samples"],
    SAMPLE: [],
    f"/compare?a=run_000000000017&b={RUN}&metric=support_rate": ["changes", "samples"],
    "/slices?suite=handbook&metric=token_f1&by=topic": ["slices"],
    "/gates": ["gates", "weeks"],
    "/drift": ["timeline", "monitors", "checks"],
    "/alarms": ["alarms"],
    "/alarms/alm_000000000001": ["causes"],
    "/coverage": ["clusters", "points"],
    "/rollouts": ["live", "events"],
    "/usage": ["answers", "evaluations"],
}


@pytest.fixture(scope="module")
def client(watched):
    with local_client(watched) as client:
        yield client


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    home = tmp_path_factory.mktemp("empty")
    product = fake_product(home)
    dashboard = replace(build_dashboard(Settings(home=home), product.keys._database), plotly=None)
    with local_client(replace(product, dashboard=dashboard)) as client:
        yield client
    product.keys._database.close()


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def rows_of(client, view: str, table: str) -> list[dict]:
    joint = "&" if "?" in view else "?"
    return client.get(f"/dashboard{view}{joint}format=json&table={table}").json()["rows"]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_a_page_under_the_strict_policy_with_nothing_inline(client, view):
    page = client.get(f"/dashboard{view}")
    assert page.status_code == 200, text_of(page.text)[:500]
    assert "script-src 'self'; style-src 'self'; img-src 'self'" in page.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", page.text.replace("onerror=alert(1)", ""))
    assert HOSTILE not in page.text
    assert page.text.count("<h1") == 1


@pytest.mark.parametrize(("view", "table"), [(view, table) for view, tables in VIEWS.items() for table in tables])
def test_every_table_can_be_had_as_csv_and_as_json_with_the_same_rows(client, view, table):
    joint = "&" if "?" in view else "?"
    address = f"/dashboard{view}{joint}table={table}"
    found = client.get(f"{address}&format=json")
    names = [column["name"] for column in found.json()["columns"]]
    told = client.get(f"{address}&format=csv")
    assert told.headers["content-type"] == "text/csv; charset=utf-8"
    assert f"assay-{table}.csv" in told.headers["content-disposition"]
    lines = list(csv.reader(io.StringIO(told.text.lstrip("\ufeff"))))
    assert lines[0] == names
    assert len(lines) - 1 == len(found.json()["rows"]) > 0


def test_a_page_links_to_downloads_with_its_own_filters(client):
    page = client.get("/dashboard/runs?suite=handbook&metric=support_rate&page=1").text
    links = re.findall(r'href="([^"]+format=csv[^"]+)"', page)
    assert links
    for link in links:
        rows = list(csv.DictReader(io.StringIO(client.get(link.replace("&amp;", "&")).text.lstrip("\ufeff"))))
        assert rows
        assert "page=" not in link


# -- overview


def test_the_overview_says_what_is_wrong_since_when_and_how_bad(client):
    found = {row["what"]: row for row in rows_of(client, "", "findings")}
    lost = found["support_rate is worse than it was"]
    assert (lost["tone"], lost["where"]) == ("bad", "suite handbook")
    before, after = map(float, lost["how_bad"].split(" → "))
    assert before > 0.8 > 0.7 > after
    runs = {row["run"]: row["at"] for row in rows_of(client, "/runs?suite=handbook", "runs")}
    assert lost["since"] == runs["run_000000000018"], "the first run after the last good one"
    assert found["Every sample failed"]["how_bad"] == "8 of 8"
    assert found["Questions about parking permits, which no document answers"]["tone"] == "bad", "it is confirmed"
    assert found["support@3 is on trial as canary"]["tone"] == "info"
    assert not any("token_f1" in what for what in found), "nothing happened to it"
    assert "Something is wrong" in client.get("/dashboard").text


def test_an_installation_without_history_says_so_and_how_to_begin(empty):
    assert "Nothing is measured yet" in empty.get("/dashboard").text
    hints = {
        "/runs": "assay eval run",
        "/compare": "assay eval run",
        "/slices": "assay eval run",
        "/gates": "assay gate",
    }
    hints |= {"/drift": "assay drift check", "/coverage": "assay drift check", "/rollouts": "assay rollout start"}
    for view, hint in hints.items():
        page = empty.get(f"/dashboard{view}")
        assert (page.status_code, hint in page.text) == (200, True), view
    for view, said in {"/alarms": "No open alarm", "/usage": "No question was logged"}.items():
        assert said in empty.get(f"/dashboard{view}").text


# -- runs


def test_the_samples_of_a_run_come_worst_first_and_a_slice_holds_only_its_own(client):
    values = [row["token_f1"] for row in rows_of(client, f"/runs/{RUN}", "samples")]
    assert values == sorted(values)
    assert len(values) == 60
    slow = [row["latency"] for row in rows_of(client, f"/runs/{RUN}?metric=latency", "samples")]
    assert slow == sorted(slow, reverse=True), "less is better"
    part = {row["sample"] for row in rows_of(client, f"/runs/{RUN}?slice=topic%3Dpay", "samples")}
    assert part == {f"handbook-{n:03}" for n in range(3, 60, 4)}
    broken = rows_of(client, f"/runs/{RUN}?only=errors", "samples")
    assert {row["sample"][-1] for row in broken} == {"7"}
    assert {row["recall@10"] for row in broken} == {None}


def test_pages_of_samples_hold_every_sample_once(client):
    links = []
    for page in (1, 2):
        html = client.get(f"/dashboard/runs/{RUN}?page={page}").text
        links += re.findall(r'/sample\?id=([\w-]+)"', html)
    assert len(links) == len(set(links)) == 60


def test_a_sample_shows_question_chunks_answer_and_the_reason_of_each_score(client):
    page = text_of(client.get(f"/dashboard{SAMPLE}").text)
    assert "How many trips, laptops or payments does case 3 get?" in page
    assert "Case handbook-003 gets some." in page
    assert "file:///docs/pay.md" in page
    assert "expected 3 of them." in page
    broken = text_of(client.get(f"/dashboard/runs/{RUN}/sample?id=handbook-007").text)
    assert "the judge gave no number" in broken
    failed = text_of(client.get(f"/dashboard/runs/{FAILED}/sample?id=handbook-003").text)
    assert "No answer. the server is away" in failed


def test_a_run_that_has_not_ended_is_shown_from_its_rows(client):
    page = client.get(f"/dashboard/runs/{BEGUN}")
    assert "This run has not ended" in page.text
    assert len(rows_of(client, f"/runs/{BEGUN}", "samples")) == 3


def test_a_comparison_tells_what_got_worse_and_which_samples(client):
    view = "/compare?a=run_000000000017&b=run_000000000018"
    verdicts = {row["metric"]: row["verdict"] for row in rows_of(client, view, "changes")}
    assert verdicts["support_rate"] == "worse"
    changes = [row["change"] for row in rows_of(client, f"{view}&metric=support_rate", "samples")]
    assert changes == sorted(changes)
    assert changes[0] < 0
    again = {
        row["metric"]: row["verdict"]
        for row in rows_of(client, "/compare?a=run_000000000018&b=run_000000000017", "changes")
    }
    assert again["support_rate"] == "better"


def test_a_slice_is_told_from_the_whole(client):
    found = {row["value"]: row["verdict"] for row in rows_of(client, "/slices?metric=token_f1&by=topic", "slices")}
    assert found["pay"] == "worse"
    assert set(found) == {"leave", "travel", "laptops", "pay"}


# -- gates, drift, rollouts


def test_the_history_of_the_gate_leads_to_each_verdict(client):
    listed = rows_of(client, "/gates", "gates")
    assert [row["conclusion"] for row in listed] == ["pass", "fail", "pass"]
    assert [row["conclusion"] for row in rows_of(client, "/gates?conclusion=fail", "gates")] == ["fail"]
    page = text_of(client.get(listed[1]["href"]).text)
    assert "fail prompt:answer@2" in page
    readings = rows_of(client, listed[1]["href"].removeprefix("/dashboard"), "readings")
    assert (readings[0]["metric"], readings[0]["verdict"]) == ("quality", "worse")
    worst = client.get(f"{listed[1]['href']}?format=json&table=worst").text
    assert "answer to s0" not in worst, "the words of answers are where an erasure finds them"


def test_drift_is_shown_with_its_threshold_and_the_budget_of_alarms(client):
    rows = rows_of(client, "/drift?monitor=embedding.mmd", "timeline")
    assert sum(row["is_alarm"] for row in rows) == 18
    assert all(row["is_alarm"] == (row["value"] > row["threshold"]) for row in rows)
    page = text_of(client.get("/dashboard/drift").text)
    assert "at most 1 false alarm in 30 days over all 4 monitors . Opened in that time: 1" in page.replace(
        "monitors.", "monitors ."
    )
    assert rows_of(client, "/drift", "monitors")[0]["monitor"] == "embedding.mmd", "the most harmful first"


def test_the_report_of_a_check_is_shut_in_a_sandbox_and_no_other_file_is_given(client):
    assert rows_of(client, "/drift", "checks")[0]["href"] == "/dashboard/drift/chk_000000000059/evidently.html"
    report = client.get("/dashboard/drift/chk_000000000059/evidently.html")
    assert "Evidently" in report.text
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in report.headers["content-security-policy"]
    for wrong in (
        "chk_000000000059/keys.db",
        "chk_000000000059/..%2Fkeys.db",
        "chk_000000000000/evidently.html",
        "nope/x",
    ):
        assert client.get(f"/dashboard/drift/{wrong}").status_code == 404


def test_an_alarm_tells_cause_harm_and_what_to_do(client):
    page = text_of(client.get("/dashboard/alarms/alm_000000000001").text)
    assert "0.043 of support rate lost, by estimate" in page
    assert "What to do: Ingest documents about parking, permit, garage" in page
    assert "generated/parking-permit-garage" in page
    assert [row["status"] for row in rows_of(client, "/alarms", "alarms")] == ["confirmed", "closed"]


def test_the_map_counts_gaps(client):
    page = text_of(client.get("/dashboard/coverage").text)
    assert "31 questions (20.5 %) have no chunk near." in page
    assert sum(row["series"] == "gap" for row in rows_of(client, "/coverage", "points")) == 31


def test_rollouts_tell_who_did_what_and_why(client):
    events = rows_of(client, "/rollouts", "events")
    assert [event["action"] for event in events] == ["start", "rollback", "start", "promote", "promote", "start"]
    assert (events[1]["who"], events[1]["why"]) == ("monitor", "support rate fell by 0.04")


def test_usage_adds_up_and_has_a_price_where_one_is_set(watched):
    priced = replace(watched.dashboard, prices=type(watched.dashboard.prices)(2.0, 10.0))
    with local_client(replace(watched, dashboard=priced)) as client:
        rows = rows_of(client, "/usage?days=60", "answers")
        assert sum(row["n"] for row in rows) == 240
        spent = rows_of(client, "/usage?days=60", "evaluations")
        tokens = sum(row["prompt_tokens"] * 2 + row["completion_tokens"] * 10 for row in spent) / 1e6
        assert sum(row["cost"] for row in spent) == pytest.approx(tokens)


# -- who may see it


@pytest.fixture
def held(watched):
    """Cookies by scope. Keys are taken away again: without any, this machine may do everything."""
    keys = watched.keys
    made = {scope: keys.create(scope, scopes=[scope]) for scope in ("read", "write", "admin", "analyst")}
    yield {scope: {"cookie": f"{COOKIE}={token}"} for scope, (_, token) in made.items()}
    with keys._database.append() as connection:
        connection.exec_driver_sql("delete from api_keys")
    keys.refresh()


def test_only_analysts_see_the_dashboard_and_they_see_nothing_else(client, held):
    for view in VIEWS:
        assert client.get(f"/dashboard{view}").status_code == 401
        statuses = {
            scope: client.get(f"/dashboard{view}", headers=cookie).status_code for scope, cookie in held.items()
        }
        assert statuses == {"read": 403, "write": 403, "admin": 403, "analyst": 200}, view
    analyst = held["analyst"] | {"x-requested-with": "assay"}
    for path in ("/", "/documents", "/documents/d1", "/receipts/r1", "/metrics"):
        assert client.get(path, headers=analyst).status_code == 403, path
    asked = {"model": "assay", "messages": [{"role": "user", "content": "What?"}]}
    assert client.post("/v1/chat/completions", json=asked, headers=analyst).status_code == 403
    assert client.post("/v1/search", json={"query": "What?"}, headers=analyst).status_code == 403
    files = {"files": ("a.md", b"text")}
    assert client.post("/v1/documents", files=files, headers=analyst).status_code == 403
    assert client.delete("/v1/documents/d1", headers=analyst).status_code == 403
    assert client.get("/dashboard/plotly.js", headers=held["read"]).status_code == 403


def test_the_navigation_offers_what_the_key_may_see(client, held):
    assert re.findall(r'<a href="(/[a-z]*)"', client.get("/dashboard", headers=held["analyst"]).text)[:1] == [
        "/dashboard"
    ]
    assert 'href="/dashboard"' not in client.get("/", headers=held["read"]).text
    lost = client.get("/", headers=held["analyst"])
    assert lost.status_code == 403
    assert 'class="button" href="/dashboard"' in lost.text


def test_nothing_of_the_dashboard_can_be_written(client):
    for view in VIEWS:
        assert client.post(f"/dashboard{view}").status_code == 405


# -- wrong input


@pytest.mark.parametrize(
    ("view", "status", "said"),
    [
        ("/runs?suite=nope", 400, "There are: handbook, safety."),
        ("/runs?suite=handbook&metric=nope", 400, "token_f1, support_rate"),
        ("/runs?slice=nope", 400, "There is no slice"),
        ("/runs?status=nope", 400, "complete, failed"),
        ("/runs?page=0", 422, "page"),
        ("/runs?page=x", 422, "page"),
        ("/runs?last=1", 422, "last"),
        ("/runs/nope", 404, "There is no run"),
        (f"/runs/{RUN}?only=nope", 400, "failed, errors"),
        (f"/runs/{RUN}/sample?id=nope", 404, "has no sample"),
        (f"/runs/{RUN}/sample?id=handbook-003&repeat=9", 404, "repeat 9"),
        (f"/runs/{RUN}/sample", 422, "id"),
        (f"/runs/{RUN}/receipt?id=handbook-003", 404, "receipt"),
        ("/compare?a=nope&b=run_000000000001", 404, "There is no run"),
        ("/compare?a=run_000000000001&b=run_000000000001", 400, "the same run"),
        ("/gates?conclusion=nope", 400, "inconclusive"),
        ("/gates/nope", 404, "There is no verdict"),
        ("/slices?by=nope", 400, "hard, topic"),
        ("/drift?watch=nope", 400, "questions"),
        ("/drift?monitor=nope", 400, "embedding.mmd"),
        ("/drift?days=0", 422, "days"),
        ("/alarms/nope", 404, "no alarm"),
        ("/alarms?status=nope", 400, "confirmed"),
        ("/rollouts?name=nope", 400, "support"),
        ("/runs?format=xml", 400, "csv, json"),
        ("/runs?format=csv&table=nope", 400, "trend, runs"),
        ("/nope", 404, "Nothing here"),
    ],
)
def test_wrong_input_gets_a_page_that_says_what_there_is(client, view, status, said):
    page = client.get(f"/dashboard{view}", headers={"accept": "text/html"})
    assert page.status_code == status
    assert said in text_of(page.text).replace("&#39;", "'")
    assert page.headers["content-type"].startswith("text/html")


def test_a_page_beyond_the_last_is_empty_and_no_error(client):
    page = client.get("/dashboard/runs?suite=handbook&page=999")
    assert page.status_code == 200
    assert "First page" in page.text


def test_a_server_without_a_dashboard_says_so(tmp_path):
    product = fake_product(tmp_path)
    with local_client(product) as client:
        page = client.get("/dashboard")
        assert page.status_code == 404
        assert "This server has no dashboard" in page.text
    product.keys._database.close()


# -- charts


def test_a_chart_reads_the_table_that_stands_below_it(client):
    for view in VIEWS:
        html = client.get(f"/dashboard{view}").text
        for kind, source, columns in re.findall(r'data-kind="(\w+)" data-src="([^"]+)" data-columns="([^"]+)"', html):
            found = client.get(source.replace("&amp;", "&")).json()
            asked = json.loads(columns.replace("&#34;", '"'))
            names = {column["name"] for column in found["columns"]}
            assert set(asked.values()) - {asked.get("mark")} <= names, (view, kind)


def test_without_plotly_there_are_tables_and_a_word_how_to_get_charts(watched):
    with local_client(replace(watched, dashboard=replace(watched.dashboard, plotly=None))) as client:
        page = client.get("/dashboard/runs?suite=handbook").text
        assert "pip install -e &#39;.[dashboard]&#39;" in page or "pip install -e '.[dashboard]'" in page
        assert "data-kind" not in page
        assert "charts.js" not in page
        assert "run_000000000020" in page
        assert client.get("/dashboard/plotly.js").status_code == 404


def test_plotly_comes_from_the_installed_package_and_is_kept_by_the_browser(client):
    script = client.get("/dashboard/plotly.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    assert "plotly.js v" in script.text[:100]
    assert script.headers["content-encoding"] == "gzip"
    plain = client.get("/dashboard/plotly.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == script.content


# -- receipts


@pytest.fixture
def receipted(tmp_path):
    """A run whose one answer has a receipt in this database, and the receipt of a question that somebody asked."""
    product = fake_product(tmp_path)
    database = product.keys._database
    receipts = ReceiptStore(database)
    for identity, subject in (("rcpt_eval", "eval"), ("rcpt_user", "key:ana")):
        principal = Principal(subject=subject)
        answer = Answer(text="Long.", sentences=(), receipt_id=identity)
        made = FakeAssay().receipt("r1", principal)
        receipts.save(seal(made.model_copy(update={"id": identity, "answer": answer, "question": f"Of {subject}?"})))
    store = EvalStore(database)
    config = {"suite": {"target": {"kind": "rag", "tenant": "default"}}}
    run = EvalRun(id="run_1", suite="own", created_at=datetime.now(UTC), target="t", config=config)
    answer = Answer(text="Long.", sentences=(), receipt_id="rcpt_eval")
    row = EvalRow(run_id="run_1", sample_id="a/b c", input_sha256="0", observation=Observation(answer=answer))
    store.begin(run, "")
    store.append(row)
    store.finish(run, {"n_rows": 1}, digested([row], [], {}))
    with local_client(replace(product, dashboard=build_dashboard(Settings(home=tmp_path), database))) as client:
        yield client
    database.close()


def test_the_receipt_of_an_evaluations_answer_can_be_read_and_is_checked(receipted):
    page = receipted.get("/dashboard/runs/run_1/sample?id=a/b c").text
    link = re.search(r'href="([^"]+/receipt\?[^"]+)"', page)[1].replace("&amp;", "&")
    receipt = receipted.get(link)
    assert receipt.status_code == 200
    assert "Of eval?" in receipt.text
    assert "The receipt is unaltered" in receipt.text


def test_no_other_receipt_can_be_had_through_the_dashboard(receipted):
    for query in ("id=rcpt_user", "id=a/b%20c&repeat=1", "id=nope"):
        page = receipted.get(f"/dashboard/runs/run_1/receipt?{query}")
        assert page.status_code == 404
        assert "key:ana" not in page.text
