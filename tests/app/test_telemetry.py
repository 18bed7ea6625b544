import io
import json
import logging
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from app.telemetry import Metrics, configure_logging
from data.records import Answer, SearchResult, Usage
from tests.app.api.conftest import local_client
from tests.app.api.fake_assay import FakeAssay, fake_product

ROOT = Path(__file__).parent.parent.parent
QUESTION = "What does Margaret Oyelaran-Fitzwilliam earn?"
BODY = {"messages": [{"role": "user", "content": QUESTION}]}


@pytest.fixture
def logged(monkeypatch):
    """Log as the server does; returns a function that gives the lines so far."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging("info")

    def lines():
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield lines
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_request_is_logged_with_its_ids_and_never_with_its_words(tmp_path, logged):
    headers = {
        "x-request-id": "abc",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    }
    with local_client(fake_product(tmp_path, FakeAssay())) as client:
        client.post("/v1/chat/completions", json=BODY, headers=headers)
    lines = logged()
    answer, request = (next(line for line in lines if line["event"] == event) for event in ("answer", "request"))
    assert answer["receipt_id"] == "r1"
    for line in (answer, request):
        assert line["request_id"] == "abc"
        assert line["tenant"] == "default"
        assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert "Margaret" not in str(lines)


def test_an_unforeseen_error_is_logged_with_its_traceback_and_without_the_question(tmp_path, logged):
    with local_client(fake_product(tmp_path, FakeAssay(error=KeyError("x")))) as client:
        client.post("/v1/search", json={"query": QUESTION})
    lines = logged()
    assert any("Traceback" in line.get("exception", "") for line in lines)
    assert "Margaret" not in str(lines)


def test_a_malformed_traceparent_is_left_out(tmp_path):
    with capture_logs() as lines, local_client(fake_product(tmp_path, FakeAssay())) as client:
        client.get("/v1/models", headers={"traceparent": '00-zz-01"} forged'})
    assert not [line for line in lines if "forged" in str(line)]


def test_stages_outside_the_closed_set_share_one_label():
    metrics = Metrics()
    metrics.searched(SearchResult(hits=(), snapshot_id="s", timings_ms={"dense": 1, "user-made": 1, "another": 1}))
    text = metrics.text().decode()
    assert 'assay_stage_seconds_count{stage="other"} 2.0' in text
    assert "user-made" not in text


def test_nothing_that_a_client_makes_up_becomes_a_label(tmp_path):
    with local_client(fake_product(tmp_path, FakeAssay())) as client:
        n_lines = []
        for n in range(12):
            client.get(f"/made-up-{n}")
            client.request(f"BREW{n}", "/v1/search")
            client.get(f"/v1/documents/doc_{n}")
            client.get(f"/static/{n}.js")
            client.get("/healthz", headers={"x-request-id": f"made-up-{n}"})
            n_lines.append(client.get("/metrics").text.count("\n"))
        text = client.get("/metrics").text
    assert not [word for word in ("made-up", "BREW", "doc_", ".js") if word in text]
    assert n_lines[1] == n_lines[-1]  # the first scrape is not yet in its own figures


def test_answers_are_counted_by_outcome_with_their_tokens_and_dropped_citations():
    metrics = Metrics({"breaker_open": lambda: 1.0})
    common = {"text": "", "sentences": ()}
    metrics.answered(Answer(**common, usage=Usage(prompt_tokens=3, completion_tokens=2), dropped_citations=4))
    metrics.answered(Answer(**common, abstained=True))
    metrics.answered(Answer(**common, fallback_from="llm"))
    text = metrics.text().decode()
    for line in (
        'assay_answers_total{outcome="answered"} 1.0',
        'assay_answers_total{outcome="abstained"} 1.0',
        'assay_answers_total{outcome="fallback"} 1.0',
        'assay_tokens_total{direction="prompt"} 3.0',
        "assay_citations_dropped_total 4.0",
        "assay_breaker_open 1.0",
    ):
        assert line in text


@pytest.mark.slow
def test_with_an_endpoint_every_request_becomes_a_span_of_the_callers_trace(tmp_path):
    """In a process of its own: the tracer provider is global. It sends what it has when the process ends."""
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    probe = """
import sys
from io import StringIO
from pathlib import Path
from app.telemetry import configure_logging, configure_tracing
from tests.app.api.conftest import local_client
from tests.app.api.fake_assay import fake_product
configure_logging("error")
configure_tracing(sys.argv[1])
with local_client(fake_product(Path(sys.argv[2]))) as client:
    client.get("/v1/models", headers={"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
"""
    with HTTPServer(("127.0.0.1", 0), Collector) as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{collector.server_port}/v1/traces"
        subprocess.run([sys.executable, "-c", probe, endpoint, str(tmp_path)], cwd=ROOT, check=True)
        collector.shutdown()
    (spans,) = received
    assert b"GET /v1/models" in spans
    assert bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736") in spans
