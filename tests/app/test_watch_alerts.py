"""Real sinks: an HTTP server and an SMTP server in this process."""

import json
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.watch_alerts import deliver, headline
from app.watch_config import SmtpConfig, WatchConfig
from evals.drift.alarms import Settled
from evals.drift.records import Cause
from tests.evals.drift.test_store import alarm

ALARM = alarm(
    "alm_1",
    harm=0.12,
    harm_unit="support rate",
    cause="A tenth of the questions are about visas.",
    action="Ingest documents about visas.",
    causes=(
        Cause(
            monitor="m",
            told="A tenth of the questions are about visas.",
            examples=("Who sponsors Jane's visa?",),
            action="Ingest documents about visas.",
        ),
    ),
)


class Posted(BaseHTTPRequestHandler):
    bodies: list[dict]
    status = 200

    def do_POST(self):
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


class Mailed(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as a client without extensions needs."""

    mails: list[str]

    def handle(self):
        self.say("220 sink")
        while line := self.rfile.readline().decode().strip():
            match line.split()[0].upper():
                case "DATA":
                    self.say("354 go on")
                    lines = iter(lambda: self.rfile.readline().decode(), ".\r\n")
                    self.mails.append("".join(lines))
                    self.say("250 kept")
                case "QUIT":
                    return self.say("221 bye")
                case _:
                    self.say("250 ok")

    def say(self, text):
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def webhook():
    handler = type("Handler", (Posted,), {"bodies": []})
    with serving(HTTPServer(("127.0.0.1", 0), handler)) as port:
        yield handler, f"http://127.0.0.1:{port}/hook"


@pytest.fixture
def mailbox():
    handler = type("Handler", (Mailed,), {"mails": []})
    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)) as port:
        yield handler, port


def config(webhook="", port=0, **more):
    smtp = SmtpConfig(host="127.0.0.1", port=port, starttls=False, to=("ops@example.org",)) if port else SmtpConfig()
    return WatchConfig(webhook=webhook, smtp=smtp, **more)


def test_a_webhook_gets_the_alarm_with_its_cause_and_a_link_and_nobodys_words(webhook):
    handler, url = webhook
    (delivery,) = deliver(config(url, url="https://assay.example"), Settled("opened", ALARM))
    assert delivery.ok
    (body,) = handler.bodies
    assert body["event"] == "opened"
    assert body["alarm"]["id"] == "alm_1"
    assert body["link"] == "https://assay.example/dashboard/alarms/alm_1"
    assert body["causes"][0]["action"] == "Ingest documents about visas."
    assert "Jane" not in json.dumps(body)


def test_an_e_mail_says_what_and_what_to_do(mailbox):
    handler, port = mailbox
    (delivery,) = deliver(config(port=port), Settled("confirmed", ALARM))
    assert delivery.ok, delivery.reason
    (mail,) = handler.mails
    assert "Subject: [assay] Drift in questions: confirmed" in mail
    assert "To: ops@example.org" in mail
    assert "To do: Ingest documents about visas." in mail
    assert "Jane" not in mail


def test_both_ways_are_used_and_one_that_fails_does_not_stop_the_other(webhook, mailbox):
    handler, url = webhook
    handler.status = 500
    mails, port = mailbox
    first, second = deliver(config(url, port), Settled("opened", ALARM))
    assert (first.ok, second.ok) == (False, True)
    assert "500" in first.reason
    assert len(mails.mails) == 1


def test_a_sink_that_is_not_there_is_told_and_raises_nothing():
    (delivery,) = deliver(config("http://127.0.0.1:9/hook"), Settled("opened", ALARM))
    assert not delivery.ok
    assert delivery.reason


def test_without_a_way_or_an_alarm_nobody_is_told():
    assert list(deliver(config(), Settled("opened", ALARM))) == []
    assert list(deliver(config("http://127.0.0.1:9/"), Settled("none"))) == []


def test_the_headline_reads_as_a_sentence():
    assert headline("closed", ALARM) == (
        "Drift in questions: alarm is over, 0.120 support rate lost. A tenth of the questions are about visas."
    )
