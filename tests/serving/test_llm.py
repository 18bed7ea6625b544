import threading
import time

import pytest
from langchain_core.language_models import FakeListChatModel, FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from pydantic import ValidationError

from data.errors import InvalidInput, ModelUnavailable
from data.records import Usage
from serving.breaker import BreakerState
from serving.config_llm import LLMConfig
from serving.llm import Generator, Reply, build_generator
from tests.serving.fake_openai import KEY, fake_openai

MESSAGES = [("system", "You answer."), ("user", "Is tea free?")]


def over(server, **config) -> Generator:
    return build_generator(LLMConfig(model="tiny", base_url=server.url, timeout_s=5, **config))


def test_an_openai_compatible_url_streams_text_and_counts_tokens():
    with fake_openai() as server:
        reply = Reply()
        assert list(over(server).stream(MESSAGES, reply)) == ["Tea ", "is free ", "[1]."]
    assert reply.usage == Usage(prompt_tokens=11, completion_tokens=3)
    (request,) = server.requests
    assert request["model"] == "tiny"
    assert [m["role"] for m in request["messages"]] == ["system", "user"]
    assert (request["temperature"], request["seed"], request["stream"]) == (0.0, 0, True)


@pytest.mark.parametrize("status", [500, 503, 429, 404])
@pytest.mark.slow
def test_an_error_of_the_server_is_a_model_unavailable_and_asked_once(status):
    with fake_openai(status=status) as server, pytest.raises(ModelUnavailable, match="tiny failed"):
        over(server).complete(MESSAGES)
    assert len(server.requests) == 1


def test_a_wrong_key_is_told_without_the_key():
    with fake_openai(key=KEY) as server:
        assert over(server, api_key=KEY).complete(MESSAGES) == "Tea is free [1]."
        with pytest.raises(ModelUnavailable, match="401") as raised:
            over(server, api_key="sk-wrong-123").complete(MESSAGES)
    assert "sk-wrong-123" not in str(raised.value)


def test_a_server_that_is_not_there_is_a_model_unavailable():
    with fake_openai() as server:
        pass
    with pytest.raises(ModelUnavailable, match="ASSAY_LLM__BASE_URL"):
        over(server).complete(MESSAGES)


def test_a_connection_that_breaks_off_gives_what_came_and_then_fails():
    with fake_openai(fails_after=2) as server:
        stream = over(server).stream(MESSAGES, Reply())
        assert [next(stream), next(stream)] == ["Tea ", "is free "]
        with pytest.raises(ModelUnavailable):
            next(stream)


@pytest.mark.slow
def test_a_server_that_hangs_is_given_up_at_the_timeout():
    with fake_openai(hangs_after=1) as server:
        began = time.monotonic()
        with pytest.raises(ModelUnavailable, match=r"(?i)time"):
            build_generator(LLMConfig(model="tiny", base_url=server.url, timeout_s=0.3)).complete(MESSAGES)
        assert time.monotonic() - began < 3


@pytest.mark.slow
def test_a_server_that_drips_is_given_up_at_the_timeout_too():
    with fake_openai(says=("drop ",) * 100, pause_s=0.05) as server:
        began = time.monotonic()
        with pytest.raises(ModelUnavailable, match=r"longer than 0\.3 s"):
            build_generator(LLMConfig(model="tiny", base_url=server.url, timeout_s=0.3)).complete(MESSAGES)
        assert time.monotonic() - began < 3


@pytest.mark.slow
def test_closing_the_stream_hangs_up_on_the_server():
    with fake_openai(says=("drop ",) * 500, pause_s=0.005) as server:
        stream = over(server).stream(MESSAGES, Reply())
        next(stream)
        stream.close()
        time.sleep(0.2)
        sent = server.n_sent
        time.sleep(0.2)
    assert server.n_sent == sent < 400


@pytest.mark.parametrize("behaviour", [{"is_mute": True}, {"hangs_after": 0}, {"hangs_after": 1}])
@pytest.mark.slow
def test_a_server_that_hangs_is_left_at_once_when_nobody_waits_any_more(behaviour):
    stopped = threading.Event()
    with fake_openai(**behaviour) as server:
        generator = over(server, breaker_failures=1)
        threading.Timer(0.3, stopped.set).start()
        began = time.monotonic()
        assert list(generator.stream(MESSAGES, Reply(), stopped)) == ["Tea "][: behaviour.get("hangs_after", 0)]
        assert 0.2 < time.monotonic() - began < 2
        assert server.left.wait(2), "the connection stayed open"
    assert generator.breaker.state is BreakerState.CLOSED


def test_the_breaker_opens_after_failures_and_the_server_is_left_alone_until_it_has_rested():
    now = [0.0]
    with fake_openai(status=500) as server:
        config = LLMConfig(model="tiny", base_url=server.url, breaker_failures=2, breaker_rest_s=10, timeout_s=60)
        generator = build_generator(config, now=lambda: now[0])
        for _ in range(5):
            with pytest.raises(ModelUnavailable):
                generator.complete(MESSAGES)
        assert len(server.requests) == 2
        server.status, now[0] = 200, 10.0
        assert generator.complete(MESSAGES) == "Tea is free [1]."
    assert generator.breaker.state is BreakerState.CLOSED


def test_a_reader_who_leaves_counts_neither_for_nor_against_the_model():
    generator = Generator(FakeListChatModel(responses=["Tea is free."]), LLMConfig(model="fake", breaker_failures=1))
    stream = generator.stream(MESSAGES, Reply())
    next(stream)
    stream.close()
    assert generator.breaker.state is BreakerState.CLOSED
    assert generator.complete(MESSAGES) == "Tea is free."


def test_content_in_parts_is_read_as_text():
    parts = AIMessage([{"type": "text", "text": "Tea is "}, {"type": "text", "text": "free."}])
    generator = Generator(FakeMessagesListChatModel(responses=[parts]), LLMConfig(model="fake"))
    assert generator.complete(MESSAGES) == "Tea is free."


def test_a_url_without_a_model_is_refused_instead_of_ignored():
    with pytest.raises(ValidationError, match="Set model"):
        LLMConfig(base_url="http://127.0.0.1:1/v1")


@pytest.mark.slow  # imports transformers
def test_a_local_model_that_is_not_there_is_named_with_the_next_step(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(InvalidInput, match="ASSAY_LLM__MODEL"):
        build_generator(LLMConfig(model=str(tmp_path / "nothing")))
