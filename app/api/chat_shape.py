"""Chat completions as OpenAI writes them, with our `annotations` on the message and an `assay` object."""

import time
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from app.api.wire import Filters, Hits, Identifier, Name, OpenRequest, Text
from data.records import Answer, Citation, SearchMode, Usage, Withheld


class TextPart(BaseModel):
    type: Literal["text"]
    text: Text


class ChatMessage(OpenRequest):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[TextPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(OpenRequest):
    include_usage: bool = False


class ChatRequest(OpenRequest):
    """OpenAI's request. Fields from `collection` on are ours: clients send them through `extra_body`."""

    model: Name = "assay"
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    """The last user message is the question. Earlier ones are history, unless `conversation_id` is given."""
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = 1
    user: Name | None = None
    """The end user behind a shared key: the same user meets the same version of an adapter on trial."""
    collection: Name | None = None
    """Search this collection only."""
    filters: Filters = ()
    """Conditions on metadata, applied inside the search."""
    k: Hits = 8
    """How many chunks the answer may rest on."""
    mode: SearchMode = SearchMode.HYBRID
    strict: bool = False
    """Withhold sentences that their citations do not support, instead of marking them."""
    conversation_id: Identifier | None = None
    """Go on with this stored conversation."""

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class CitationAnnotation(BaseModel):
    """`content[start_index:end_index]` is the cited sentence; `start` and `end` lie in the document."""

    sentence: int
    start_index: int
    end_index: int
    document_id: str
    document_version: int
    chunk_id: str
    start: int
    end: int
    quote: str
    quote_sha256: str
    title: str
    uri: str
    support: float | None


class Annotation(BaseModel):
    type: Literal["citation"]
    citation: CitationAnnotation


class AssistantMessage(BaseModel):
    role: Literal["assistant"]
    content: str
    annotations: list[Annotation]


class Choice(BaseModel):
    index: int
    message: AssistantMessage
    finish_reason: Literal["stop"]


class UsageShape(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Proof(BaseModel):
    """Where the answer came from. `GET /v1/receipts/{receipt_id}` has the rest."""

    receipt_id: str
    snapshot_id: str
    conversation_id: str | None
    abstained: bool
    abstain_reason: str
    fallback_from: str
    dropped_citations: int
    withheld: list[Withheld]
    """What of the retrieved chunks was kept from the answerer because it gives orders to a machine."""
    sentences: list[dict[str, Any]]
    timings_ms: dict[str, float]


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: UsageShape
    assay: Proof


def completion(answer: Answer, snapshot_id: str, model: str) -> dict[str, Any]:
    """A whole `ChatCompletion`."""
    message = {"role": "assistant", "content": answer.text, "annotations": annotations(answer)}
    return {
        "id": new_id(),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.model or model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage_shape(answer.usage),
        "assay": proof(answer, snapshot_id),
    }


def proof(answer: Answer, snapshot_id: str) -> dict[str, Any]:
    spans = sentence_spans(answer)
    return {
        "receipt_id": answer.receipt_id,
        "snapshot_id": snapshot_id,
        "conversation_id": answer.conversation_id,
        "abstained": answer.abstained,
        "abstain_reason": answer.abstain_reason,
        "fallback_from": answer.fallback_from,
        "dropped_citations": answer.dropped_citations,
        "withheld": [stretch.model_dump() for stretch in answer.withheld],
        "sentences": [
            {"start_index": start, "end_index": end, "support": sentence.support}
            for sentence, (start, end) in zip(answer.sentences, spans, strict=True)
        ],
        "timings_ms": answer.timings_ms,
    }


def annotations(answer: Answer) -> list[dict[str, Any]]:
    spans = sentence_spans(answer)
    return [
        annotation(citation, n, spans[n])
        for n, sentence in enumerate(answer.sentences)
        for citation in sentence.citations
    ]


def annotation(citation: Citation, sentence: int, span: tuple[int, int]) -> dict[str, Any]:
    place = {"sentence": sentence, "start_index": span[0], "end_index": span[1]}
    return {"type": "citation", "citation": place | citation.model_dump()}


def sentence_spans(answer: Answer) -> list[tuple[int, int]]:
    """Where each sentence lies in `answer.text`, as (start, end) character offsets."""
    return list(_find_in_order([s.text for s in answer.sentences], answer.text))


def _find_in_order(sentences: list[str], text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for sentence in sentences:
        start = text.find(sentence, at)
        if start < 0:  # not in the text as released: points at nothing rather than at a wrong place
            yield at, at
            continue
        at = start + len(sentence)
        yield start, at


def usage_shape(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }


def new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"
