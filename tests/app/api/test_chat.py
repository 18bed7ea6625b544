"""The official openai client against a real server on loopback."""

import openai
import pytest

from tests.app.api.fake_assay import SENTENCES, TEXT

QUESTION = [{"role": "user", "content": "What does Assay show?"}]


@pytest.fixture
def openai_client(serve, product):
    with openai.OpenAI(base_url=serve(product) + "/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.mark.slow
def test_a_whole_answer_carries_its_text_citations_and_receipt(openai_client):
    answer = openai_client.chat.completions.create(model="assay", messages=QUESTION)
    message = answer.choices[0].message
    assert message.content == " ".join(SENTENCES)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == 21
    assert answer.assay["receipt_id"] == "r1"
    assert answer.assay["snapshot_id"] == "snap-1"
    for annotation in message.annotations:
        citation = annotation.citation
        assert annotation.type == "citation"
        assert TEXT[citation["start"] : citation["end"]] == citation["quote"]
        assert message.content[citation["start_index"] : citation["end_index"]] == SENTENCES[citation["sentence"]]


def test_every_chunk_of_a_stream_has_a_delta_and_the_deltas_make_the_answer(openai_client):
    stream = openai_client.chat.completions.create(model="assay", messages=QUESTION, stream=True)
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == " ".join(SENTENCES)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len({chunk.id for chunk in chunks}) == 1


def test_typed_events_arrive_in_order_with_their_payload(openai_client):
    stream = openai_client.chat.completions.create(model="assay", messages=QUESTION, stream=True)
    events = [chunk.assay for chunk in stream if getattr(chunk, "assay", None)]
    assert [e["type"] for e in events] == ["retrieval", "message", "citation", "message", "citation", "final"]
    assert events[0]["result"]["hits"][0]["chunk"]["id"] == "d1#0"
    assert events[4]["sentence"] == 1
    final = events[-1]
    assert final["content"][events[4]["start_index"] : events[4]["end_index"]] == SENTENCES[1]
    assert [a["citation"]["quote"] for a in final["annotations"]] == list(SENTENCES)


def test_usage_is_streamed_when_asked_for(openai_client):
    stream = openai_client.chat.completions.create(
        model="assay", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    last = list(stream)[-1]
    assert last.choices == []
    assert last.usage.prompt_tokens == 12


def test_our_own_fields_travel_in_the_extra_body(openai_client, assay):
    openai_client.chat.completions.create(
        model="assay",
        messages=QUESTION,
        extra_body={"collection": "hr", "k": 3, "mode": "lexical", "strict": True, "conversation_id": "c1"},
    )
    (asked,) = assay.asked
    assert (asked["collection"], asked["k"], asked["mode"], asked["strict"]) == ("hr", 3, "lexical", True)
    assert asked["conversation_id"] == "c1"


def test_earlier_messages_are_history_unless_a_conversation_is_named(openai_client, assay):
    earlier = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Assay."}]
    openai_client.chat.completions.create(model="assay", messages=earlier + QUESTION)
    openai_client.chat.completions.create(
        model="assay", messages=earlier + QUESTION, extra_body={"conversation_id": "c1"}
    )
    assert assay.asked[0]["history"] == (("user", "Who?"), ("assistant", "Assay."))
    assert assay.asked[0]["question"] == "What does Assay show?"
    assert "history" not in assay.asked[1]


@pytest.mark.parametrize(
    ("name", "given"), [("assay", ""), ("assay-extractive", "assay-extractive"), ("tiny-llm", "tiny-llm")]
)
@pytest.mark.slow
def test_the_model_name_chooses_what_answers(openai_client, assay, name, given):
    openai_client.chat.completions.create(model=name, messages=QUESTION)
    assert assay.asked[0]["model"] == given


def test_an_unknown_model_is_not_found(openai_client):
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client.chat.completions.create(model="gpt-9", messages=QUESTION)
    assert caught.value.code == "model_not_found"


def test_the_models_are_listed(openai_client):
    assert [m.id for m in openai_client.models.list()] == ["assay", "assay-extractive", "tiny-llm"]
    assert openai_client.models.retrieve("assay").id == "assay"
