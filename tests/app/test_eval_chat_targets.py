import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from langchain_core.language_models import FakeListChatModel
from pydantic import SecretStr

from app.eval_chat_targets import is_unknown, model_target, prompt_target, url_target
from app.eval_targets import build_target
from app.settings import Settings
from data.errors import InvalidInput
from evals.config import EvalsConfig
from evals.scorers.citations import CitationScorer
from evals.suite import ModelTarget, PromptTarget, UrlTarget
from serving.config_llm import LLMConfig
from serving.llm import Generator
from tests.app.test_eval_targets import TEMPLATE
from tests.evals.making import sample, values

SAID = "Tea is free. Coffee is not."
OURS = {
    "model": "assay-extractive",
    "choices": [
        {
            "message": {
                "content": SAID,
                "annotations": [
                    {
                        "type": "citation",
                        "citation": {
                            "sentence": 0,
                            "start_index": 0,
                            "end_index": 12,
                            "document_id": "doc_1",
                            "document_version": 2,
                            "chunk_id": "doc_1#0",
                            "start": 3,
                            "end": 15,
                            "quote": "Tea is free.",
                            "quote_sha256": "",
                            "title": "Kitchen",
                            "uri": "file:///docs/tea.md",
                            "support": 1.0,
                        },
                    }
                ],
            }
        }
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 5},
    "assay": {
        "receipt_id": "rcpt_1",
        "abstained": False,
        "abstain_reason": "",
        "fallback_from": "",
        "sentences": [{"start_index": 0, "end_index": 12}, {"start_index": 13, "end_index": 27}],
    },
}


@contextmanager
def server(status: int, body: object):
    """Answers every POST alike; yields its base URL and what it was sent."""
    sent: list[tuple[dict, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            sent.append((asked, self.headers.get("Authorization", "")))
            reply = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_port}/v1", sent
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path, evals=EvalsConfig(api_key=SecretStr("sk-eval")))


def asked_url(settings, status, reply, **spec):
    with server(status, reply) as (url, sent):
        return url_target(UrlTarget(kind="url", url=url, model="m", **spec), settings)(sample(question="Tea?")), sent


def test_our_annotations_are_read_as_citations_of_their_sentences(settings):
    seen, sent = asked_url(settings, 200, OURS, body={"collection": "handbook"})
    first, second = seen.answer.sentences
    assert (first.text, second.text) == ("Tea is free.", "Coffee is not.")
    assert (first.citations[0].uri, first.citations[0].quote) == ("file:///docs/tea.md", "Tea is free.")
    assert second.citations == ()
    assert seen.answer.usage.total_tokens == 16
    assert seen.answer.receipt_id == "rcpt_1"
    assert not seen.has_hits
    assert sent == [
        ({"model": "m", "messages": [{"role": "user", "content": "Tea?"}], "collection": "handbook"}, "Bearer sk-eval")
    ]
    scored = CitationScorer().score(sample(citations=(("tea.md", "Tea is free"),)), seen)
    assert values(scored)["citation_recall"] == 1.0


def test_a_plain_openai_reply_is_an_answer_without_proof(settings):
    seen, _ = asked_url(settings, 200, {"choices": [{"message": {"content": SAID}}]})
    assert [s.text for s in seen.answer.sentences] == ["Tea is free.", "Coffee is not."]
    assert not seen.answer.abstained
    unknown, _ = asked_url(settings, 200, {"choices": [{"message": {"content": "I don't know."}}]})
    assert unknown.answer.abstained


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (503, {"error": "busy"}, "answered 503"),
        (200, b"<html>", "no chat completion"),
        (200, {"choices": []}, "no chat"),
    ],
)
def test_whatever_is_no_answer_is_an_error(settings, status, body, told):
    seen, _ = asked_url(settings, status, body)
    assert told in seen.error
    assert seen.answer is None


def test_a_server_that_is_not_there_is_an_error(settings):
    seen = url_target(UrlTarget(kind="url", url="http://127.0.0.1:9/v1", model="m", timeout_s=2), settings)(sample())
    assert "127.0.0.1:9" in seen.error


def test_without_a_model_a_chat_target_says_what_to_set(settings):
    for spec in (ModelTarget(kind="model"), PromptTarget(kind="prompt", prompt="answer@1")):
        with pytest.raises(InvalidInput, match="ASSAY_LLM__MODEL"):
            build_target(spec, settings, None)


def replying(*replies: str) -> Generator:
    return Generator(FakeListChatModel(responses=list(replies)), LLMConfig(model="fake"))


def test_a_model_alone_gets_the_question():
    seen = model_target(ModelTarget(kind="model", system="Be brief."), replying("Tea is free."))(sample())
    assert seen.answer.text == "Tea is free."
    assert not seen.has_hits


def test_a_prompt_gets_the_samples_own_quotes_and_its_citations_are_grounded(tmp_path):
    path = tmp_path / "answer@7.md"
    path.write_text(TEMPLATE.format(version=7, system="Cite."), "utf-8")
    model = replying("Tea is free in every kitchen [1]. The moon is blue [1].")
    target = prompt_target(PromptTarget(kind="prompt", prompt=str(path)), model)
    one = sample(citations=(("tea.md", "Tea is free in every kitchen."),))
    first, second = target(one).answer.sentences
    assert first.citations[0].uri == "tea.md"
    assert second.citations == (), "nothing that it cites supports it"
    changed = one.model_copy(update={"question": "Coffee?"})
    assert target.case_digest(one) != target.case_digest(changed)


def test_a_prompt_input_that_the_sample_lacks_is_that_samples_error(tmp_path):
    path = tmp_path / "haiku@1.md"
    path.write_text(
        "---\nname: haiku\nversion: 1\nowner: t\ndescription: d\ninputs: [season]\n---\n## user\nOf {{ season }}.\n",
        "utf-8",
    )
    target = prompt_target(PromptTarget(kind="prompt", prompt=str(path)), replying("Snow falls."))
    assert target(sample(metadata={"season": "winter"})).answer.text == "Snow falls."
    with pytest.raises(InvalidInput, match="season"):
        target.case_digest(sample())


@pytest.mark.parametrize("text", ["", "  ", "I don't know.", "I do not know"])
def test_nothing_and_not_knowing_are_unknown(text):
    assert is_unknown(text)
    assert not is_unknown("I don't know the year. It was May.")
