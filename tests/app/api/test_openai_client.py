"""The official `openai` client, unchanged, against a real server over the sample corpus."""

import asyncio

import openai
import pytest

pytestmark = pytest.mark.slow
QUESTION = "How many weeks of parental leave at full pay do employees get?"
ASKED = {"model": "assay", "messages": [{"role": "user", "content": QUESTION}]}
QUOTE = "22 weeks of parental leave at full pay"


@pytest.fixture
def client(sample_server):
    with openai.OpenAI(base_url=sample_server.base + "/v1", api_key="none is needed", max_retries=0) as client:
        yield client


def check_proof(text: str, annotations: list[dict], sample_server) -> None:
    """Each annotation marks a sentence of the answer and a quote that stands in its document."""
    assert annotations
    for citation in (a["citation"] for a in annotations):
        assert text[citation["start_index"] : citation["end_index"]]
        document = sample_server.get(f"/v1/documents/{citation['document_id']}").json()
        assert document["text"][citation["start"] : citation["end"]] == citation["quote"]


def test_an_answer_carries_its_proof(client, sample_server):
    answer = client.chat.completions.create(**ASKED)
    message = answer.choices[0].message
    assert QUOTE in message.content
    assert answer.choices[0].finish_reason == "stop"
    found = [annotation.to_dict() for annotation in message.annotations]  # the client keeps fields it does not know
    check_proof(message.content, found, sample_server)
    receipt = sample_server.get(f"/v1/receipts/{answer.assay['receipt_id']}").json()
    assert receipt["answer"]["text"] == message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_question_that_nothing_answers_is_not_answered(client):
    messages = [{"role": "user", "content": "What is the boiling point of molybdenum hexafluoride?"}]
    answer = client.chat.completions.create(model="assay", messages=messages)
    assert answer.assay["abstained"]
    assert not answer.choices[0].message.annotations


def test_a_stream_carries_the_same_answer_and_typed_events(client, sample_server):
    whole = client.chat.completions.create(**ASKED).choices[0].message.content
    with client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole
    types = [c.assay["type"] for c in chunks if getattr(c, "assay", None)]
    assert types[0] == "retrieval"
    assert types[-1] == "final"
    assert {"message", "citation"} <= set(types)
    (final,) = (c.assay for c in chunks if getattr(c, "assay", None) and c.assay["type"] == "final")
    check_proof(text, final["annotations"], sample_server)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None


def test_without_include_usage_there_is_none(client):
    with client.chat.completions.create(**ASKED, stream=True) as stream:
        assert all(chunk.usage is None and chunk.choices for chunk in stream)


def test_the_asynchronous_client_works_too(sample_server):
    async def go() -> tuple[str, str, int]:
        async with openai.AsyncOpenAI(base_url=sample_server.base + "/v1", api_key="x") as client:
            whole, stream, vectors = await asyncio.gather(
                client.chat.completions.create(**ASKED),
                client.chat.completions.create(**ASKED, stream=True),
                client.embeddings.create(model="assay-embedding", input=["one", "two"]),
            )
            streamed = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
            return whole.choices[0].message.content, streamed, len(vectors.data[1].embedding)

    whole, streamed, width = asyncio.run(go())
    assert QUOTE in whole
    assert streamed == whole
    assert width == 384


def test_our_fields_narrow_the_search(client):
    for extra, found in (({"collection": "handbook"}, True), ({"collection": "nothing"}, False)):
        answer = client.chat.completions.create(**ASKED, extra_body={"strict": True, "k": 4} | extra)
        assert bool(answer.choices[0].message.annotations) is found
    only_2023 = {"filters": [{"field": "status", "op": "equals", "value": "superseded"}]}
    answer = client.chat.completions.create(**ASKED, extra_body=only_2023)
    assert QUOTE not in answer.choices[0].message.content


def test_a_conversation_is_gone_on_with(client):
    conversation = {"conversation_id": "openai-client-test"}
    client.chat.completions.create(**ASKED, extra_body=conversation)
    messages = [{"role": "user", "content": "And into how many blocks may it be split?"}]
    answer = client.chat.completions.create(model="assay", messages=messages, extra_body=conversation)
    assert "three blocks" in answer.choices[0].message.content


def test_models_and_embeddings(client):
    assert {m.id for m in client.models.list()} >= {"assay", "assay-extractive"}
    assert client.models.retrieve("assay").owned_by == "assay"
    vectors = client.embeddings.create(
        model="assay-embedding", input=["leave for parents", "parental leave", "a lathe"]
    )
    near, same, far = (list(v.embedding) for v in vectors.data)
    assert (
        sum(a * b for a, b in zip(near, same, strict=True)) > sum(a * b for a, b in zip(near, far, strict=True)) + 0.2
    )


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.chat.completions.create(model="gpt-9", messages=ASKED["messages"]), openai.NotFoundError),
        (lambda c: c.models.retrieve("gpt-9"), openai.NotFoundError),
        (lambda c: c.chat.completions.create(model="assay", messages=[]), openai.UnprocessableEntityError),
        (lambda c: c.chat.completions.create(**ASKED, extra_body={"k": 101}), openai.BadRequestError),
        (lambda c: c.embeddings.create(model="assay-embedding", input=["x" * 40_000]), openai.BadRequestError),
        (
            lambda c: c.chat.completions.create(**ASKED, extra_headers={"X-Forwarded-For": "1.2.3.4"}),
            openai.AuthenticationError,
        ),
        (
            lambda c: c.chat.completions.create(**ASKED, extra_headers={"Origin": "https://evil.example"}),
            openai.PermissionDeniedError,
        ),
        (
            lambda c: c.chat.completions.create(model="assay", messages=[{"role": "user", "content": "x" * 2**21}]),
            openai.APIStatusError,
        ),
    ],
)
def test_each_refusal_is_the_clients_own_class_of_error(client, call, error):
    with pytest.raises(error) as caught:
        call(client)
    assert set(caught.value.body) == {"message", "type", "code", "param"}
    assert caught.value.request_id  # what X-Request-ID said
