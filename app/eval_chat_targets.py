"""Targets that are asked in chat: any OpenAI-compatible URL, the configured model, a prompt template."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from app.generation import fenced
from app.grounding import UNKNOWN, Grounder, ground, sentences_of_stream
from app.settings import Settings
from data.errors import InvalidInput, ModelUnavailable
from data.records import (
    Answer,
    Chunk,
    Citation,
    Hit,
    Observation,
    Sample,
    Sentence,
    SourceRef,
    Usage,
)
from data.sentences import sentence_spans
from evals.runner import Target
from evals.suite import ModelTarget, PromptTarget, UrlTarget
from serving.llm import Generator, Reply, build_generator

FENCE = "SOURCE-0"
LONGEST_TOLD = 300


def url_target(spec: UrlTarget, settings: Settings) -> Target:
    """One request a sample. The key is ASSAY_EVALS__API_KEY. Concurrency counts against the server, not against us."""
    key = settings.evals.api_key.get_secret_value()
    client = httpx.Client(timeout=spec.timeout_s, headers={"Authorization": f"Bearer {key}"} if key else {})

    def ask(sample: Sample) -> Observation:
        body = {"model": spec.model, "messages": [{"role": "user", "content": sample.question}], **spec.body}
        began = time.perf_counter()
        try:
            reply = client.post(f"{spec.url.rstrip('/')}/chat/completions", json=body)
        except httpx.HTTPError as error:
            return Observation(error=f"{spec.url}: {type(error).__name__}: {error}", has_hits=False)
        took = round((time.perf_counter() - began) * 1000, 3)
        if reply.status_code != httpx.codes.OK:
            told = reply.text[:LONGEST_TOLD]
            return Observation(error=f"{spec.url} answered {reply.status_code}: {told}", has_hits=False)
        try:
            return Observation(answer=_read(reply.json()), latency_ms=took, has_hits=False)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            return Observation(error=f"{spec.url} sent no chat completion: {error!r}", has_hits=False)

    return Target(f"url {spec.url} {spec.model}", ask, _sha256(spec.model_dump(mode="json")))


def model_target(spec: ModelTarget, generator: Generator) -> Target:
    """The question alone, so that a score tells what the model knows or makes up without documents."""
    system = [("system", spec.system)] if spec.system else []

    def ask(sample: Sample) -> Observation:
        return _said(generator, [*system, ("user", sample.question)])

    return Target(f"model {generator.name}", ask, _sha256([spec.model_dump(mode="json"), _model(generator)]))


def prompt_target(spec: PromptTarget, generator: Generator) -> Target:
    """The template gets `question`, `sources` and `fence` (the sample's own quotes, as the product shows chunks), and any
    other input from the sample's metadata. Citations of those sources are grounded as the product's are."""
    from app.eval_targets import prompt_of
    from serving.local.grounder import LexicalGrounder

    prompt, grounder = prompt_of(spec.prompt), LexicalGrounder()

    def rendered(sample: Sample) -> tuple[list[tuple[str, str]], tuple[Hit, ...]]:
        hits = _quoted(sample) if "sources" in prompt.inputs else ()
        given = fenced(hits, FENCE)
        known = {name: str(value) for name, value in sample.metadata.items()}
        known |= {"question": sample.question, "sources": given.text, "fence": given.fence}
        return prompt.render(**{name: known[name] for name in prompt.inputs if name in known}), hits

    def ask(sample: Sample) -> Observation:
        messages, hits = rendered(sample)
        return _said(generator, messages, hits, grounder)

    def decides(sample: Sample) -> str:
        return _sha256(["prompt", rendered(sample)[0], _model(generator), grounder.id])

    digest = _sha256([spec.model_dump(mode="json"), prompt.sha256, _model(generator)])
    return Target(f"prompt {prompt.ref}, model {generator.name}", ask, digest, decides)


def generator_of(model: str, settings: Settings) -> Generator:
    """The configured model, or another of the same server. Raises: InvalidInput when none is configured."""
    if not (model or settings.llm.model):
        raise InvalidInput(
            "This target needs a chat model, and none is configured.",
            field="target",
            next_step="Set ASSAY_LLM__MODEL and ASSAY_LLM__BASE_URL; `assay llm up` starts a server.",
        )
    return build_generator(settings.llm.model_copy(update={"model": model}) if model else settings.llm)


def _said(
    generator: Generator,
    messages: Sequence[tuple[str, str]],
    hits: tuple[Hit, ...] = (),
    grounder: Grounder | None = None,
) -> Observation:
    reply, began = Reply(), time.perf_counter()
    try:
        text = "".join(generator.stream(messages, reply)).strip()
    except ModelUnavailable as error:
        return Observation(error=str(error), has_hits=bool(hits))
    took = round((time.perf_counter() - began) * 1000, 3)
    sentences = tuple(_grounded(text, hits, grounder) if hits and grounder else _sentences(text))
    answer = Answer(
        text=text,
        sentences=sentences,
        abstained=is_unknown(text),
        model=generator.name,
        usage=reply.usage,
    )
    return Observation(answer=answer, hits=hits, has_hits=bool(hits), latency_ms=took)


def is_unknown(text: str) -> bool:
    """Whether a text says nothing, or nothing but that the answer is not known."""
    return not text.strip() or UNKNOWN.match(text.strip()) is not None


def _sentences(text: str) -> Iterator[Sentence]:
    return (Sentence(text=text[start:end]) for start, end in sentence_spans(text))


def _grounded(text: str, hits: tuple[Hit, ...], grounder: Grounder) -> Iterator[Sentence]:
    texts = {hit.chunk.document_id: hit.chunk.text for hit in hits}
    for written in sentences_of_stream([text]):
        yield ground(written, hits, grounder, texts.__getitem__)[0]


def _quoted(sample: Sample) -> tuple[Hit, ...]:
    """The sample's citations as if they had been found, each a document of its own."""
    return tuple(
        Hit(
            chunk=Chunk(
                id=f"{uri}#{n}",
                document_id=f"{uri}#{n}",
                document_version=1,
                ordinal=n,
                start=0,
                end=len(quote),
                text=quote,
            ),
            score=1.0,
            sources=(SourceRef(document_id=f"{uri}#{n}", uri=uri, title=uri, version=1),),
        )
        for n, (uri, quote) in enumerate(sample.citations)
    )


def _read(reply: dict[str, Any]) -> Answer:
    """A chat completion; `annotations` of the message are citations, ours with their quotes, OpenAI's with their URLs alone."""
    message, ours = reply["choices"][0]["message"], reply.get("assay") or {}
    text = message["content"] or ""
    found = [_citation(annotation) for annotation in message.get("annotations") or ()]
    spans = _spans(text, ours)
    used = reply.get("usage") or {}
    return Answer(
        text=text,
        sentences=tuple(
            Sentence(text=text[a:b], citations=tuple(c for at, c in found if at is not None and a <= at < b))
            for a, b in spans
        ),
        abstained=bool(ours["abstained"]) if "abstained" in ours else is_unknown(text),
        abstain_reason=ours.get("abstain_reason", ""),
        fallback_from=ours.get("fallback_from", ""),
        receipt_id=str(ours.get("receipt_id") or ""),
        model=reply.get("model") or "",
        usage=Usage(prompt_tokens=used.get("prompt_tokens") or 0, completion_tokens=used.get("completion_tokens") or 0),
    )


def _spans(text: str, ours: dict[str, Any]) -> list[tuple[int, int]]:
    if told := ours.get("sentences"):
        return [(s["start_index"], s["end_index"]) for s in told]
    return list(sentence_spans(text))


def _citation(annotation: dict[str, Any]) -> tuple[int | None, Citation]:
    """Where in the text it stands (its first character), and what it cites."""
    told = annotation.get("citation") or annotation.get("url_citation") or {}
    quote = told.get("quote") or ""
    citation = Citation(
        document_id=told.get("document_id") or told.get("url") or "",
        document_version=told.get("document_version") or 1,
        chunk_id=told.get("chunk_id") or "",
        start=told.get("start") or 0,
        end=told.get("end") or 0,
        quote=quote,
        quote_sha256=told.get("quote_sha256") or hashlib.sha256(quote.encode()).hexdigest(),
        title=told.get("title") or "",
        uri=told.get("uri") or told.get("url") or "",
        support=told.get("support"),
    )
    return told.get("start_index"), citation


def _model(generator: Generator) -> list[Any]:
    return [generator.name, generator.digest, generator.decode]


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
