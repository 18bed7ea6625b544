"""Streams on a real server: heartbeats, failures on the way, and clients that go away."""

import gc
import json
import sys
import threading
import time

import httpx
import openai
import pytest

from app.api.config import ApiConfig
from data.errors import ModelUnavailable
from tests.app.api.conftest import local_client
from tests.app.api.fake_assay import SENTENCES, FakeAssay, fake_product

BODY = {"messages": [{"role": "user", "content": "What does Assay show?"}], "stream": True}
PATH = "/v1/chat/completions"


def frames_of(text: str) -> list[tuple[str, str]]:
    """(event, data) of each frame; comments count as events named ':'."""
    out = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        out.append((fields.get("event", ":" if not fields else ""), fields.get("data", "")))
    return out


def test_the_frames_are_named_and_end_with_done(serve, product):
    response = httpx.post(serve(product) + PATH, json=BODY)
    assert response.headers["content-type"].startswith("text/event-stream")
    names = [name for name, _ in frames_of(response.text)]
    assert names == ["retrieval", "message", "citation", "message", "citation", "final", "", ""]
    assert frames_of(response.text)[-1][1] == "[DONE]"


@pytest.mark.slow
def test_silence_is_filled_with_heartbeats_which_clients_ignore(serve, tmp_path):
    base = serve(fake_product(tmp_path, FakeAssay(pause_s=0.12)), ApiConfig(heartbeat_s=0.05))
    assert ":" in [name for name, _ in frames_of(httpx.post(base + PATH, json=BODY, timeout=10).text)]
    with openai.OpenAI(base_url=base + "/v1", api_key="x") as client:
        stream = client.chat.completions.create(model="assay", messages=BODY["messages"], stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in stream) == " ".join(SENTENCES)


@pytest.mark.slow
def test_nothing_follows_done_and_done_waits_for_the_end_of_the_work(serve, tmp_path):
    class Slow(FakeAssay):
        def ask(self, question, **options):
            yield from super().ask(question, **options)
            time.sleep(0.3)  # as long as saving a conversation may take
            self.saved = True

    assay = Slow()
    base = serve(fake_product(tmp_path, assay), ApiConfig(heartbeat_s=0.05))
    with httpx.stream("POST", base + PATH, json=BODY) as response:
        lines = []
        for line in response.iter_lines():
            lines.append(line)
            if line == "data: [DONE]":
                assert assay.saved
    assert [line for line in lines if line][-1] == "data: [DONE]"


def test_an_error_before_the_first_event_is_an_ordinary_error(serve, tmp_path):
    base = serve(fake_product(tmp_path, FakeAssay(error=ModelUnavailable("The model is down."))))
    response = httpx.post(base + PATH, json=BODY)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "model_unavailable"


@pytest.mark.parametrize(
    ("error", "code"),
    [(ModelUnavailable("The model went away."), "model_unavailable"), (KeyError("secret"), "internal_error")],
)
@pytest.mark.slow
def test_an_error_on_the_way_is_an_event_in_openais_shape(serve, tmp_path, error, code):
    base = serve(fake_product(tmp_path, FakeAssay(error=error, fail_after=2)))
    text = httpx.post(base + PATH, json=BODY).text
    name, data = frames_of(text)[-2]
    assert name == "error"
    assert json.loads(data)["error"]["code"] == code
    assert "secret" not in text
    with (
        openai.OpenAI(base_url=base + "/v1", api_key="x") as client,
        pytest.raises(openai.APIError) as caught,
    ):
        list(client.chat.completions.create(model="assay", messages=BODY["messages"], stream=True))
    assert caught.value.code == code


@pytest.mark.slow
def test_an_answer_that_takes_too_long_ends_with_an_error_event(serve, tmp_path):
    assay = FakeAssay(pause_s=0.15)
    text = httpx.post(serve(fake_product(tmp_path, assay), ApiConfig(answer_timeout_s=0.4)) + PATH, json=BODY).text
    assert json.loads(frames_of(text)[-2][1])["error"]["code"] == "deadline_exceeded"
    assert assay.closed.wait(2)


@pytest.mark.slow
def test_a_client_that_goes_away_ends_the_work(serve, tmp_path):
    assay = FakeAssay(pause_s=0.1)
    base = serve(fake_product(tmp_path, assay))
    with httpx.stream("POST", base + PATH, json=BODY) as response:
        next(response.iter_lines())
    assert assay.closed.wait(2), "the generator was not closed"
    assert assay.n_closed == 1
    assert metric(base, "assay_cancelled_total") == 1
    assert eventually(lambda: metric(base, "assay_requests_working") == 0)


@pytest.mark.slow
def test_a_client_that_goes_away_while_waiting_for_a_whole_answer_ends_the_work_too(serve, tmp_path):
    assay = FakeAssay(pause_s=0.2)
    base = serve(fake_product(tmp_path, assay))
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(base + PATH, json=BODY | {"stream": False}, timeout=0.3)
    assert assay.closed.wait(2)
    assert eventually(lambda: metric(base, "assay_requests_working") == 0)


@pytest.mark.slow
def test_places_come_back_after_every_kind_of_end(serve, tmp_path):
    assay = FakeAssay(pause_s=0.02)
    base = serve(fake_product(tmp_path, assay), ApiConfig(max_concurrent=2, max_queued=0))
    for _ in range(3):
        with httpx.stream("POST", base + PATH, json=BODY) as response:
            next(response.iter_lines())
        assay.error, assay.fail_after = KeyError("x"), 2
        httpx.post(base + PATH, json=BODY)
        assay.error = None
    assert eventually(lambda: metric(base, "assay_requests_working") == 0)
    assert httpx.post(base + PATH, json=BODY).text.endswith("data: [DONE]\n\n")


@pytest.mark.slow
def test_stopping_the_server_finishes_open_streams(tmp_path):
    import uvicorn

    from app.api.application import create_app

    app = create_app(fake_product(tmp_path, FakeAssay(pause_s=0.1)))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert eventually(lambda: server.started)
    base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    with httpx.stream("POST", base + PATH, json=BODY) as response:
        lines = response.iter_lines()
        next(lines)
        server.should_exit = True
        rest = list(lines)
    thread.join(5)
    assert rest[-2:] == ["data: [DONE]", ""]


@pytest.mark.slow
def test_two_hundred_streams_at_once_all_end_well(serve, tmp_path):
    base = serve(fake_product(tmp_path, FakeAssay(pause_s=0.05)))
    ended: list[bool] = []
    certificates = (
        httpx.create_ssl_context()
    )  # read once: two hundred clients would spend ten seconds on reading theirs

    def ask():
        with httpx.Client(timeout=60, verify=certificates) as client:
            ended.append(client.post(base + PATH, json=BODY).text.endswith("data: [DONE]\n\n"))

    threads = [threading.Thread(target=ask) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [True] * 200


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_answers(tmp_path):
    """Python's own memory blocks, which a leak of ours would show in: one object kept of every answer would be 500 here."""
    assay = FakeAssay()
    with local_client(fake_product(tmp_path, assay)) as client:

        def ask(n: int) -> int:
            for _ in range(n):
                assert client.post(PATH, json=BODY).status_code == 200
            assay.asked.clear()
            gc.collect()
            return sys.getallocatedblocks()

        ask(100)
        before = ask(100)
        grown = ask(500) - before
    print("blocks more:", grown)
    assert grown < 400


def metric(base: str, name: str) -> float:
    lines = httpx.get(base + "/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name + " "))


def eventually(fact, within_s: float = 3.0) -> bool:
    deadline = time.monotonic() + within_s
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
