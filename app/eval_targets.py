"""What a suite can call: the RAG graph in this process, the retriever alone; chat targets are in `app.eval_chat_targets`.

A RAG target tells, before anything is generated, what decides a case: the chunks as the answerer sees them, the rendered prompt,
the model. So a prompt or an index that changed for five cases costs five answers.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.eval_chat_targets import generator_of, model_target, prompt_target, url_target
from app.rag import Ask, Rag
from app.screening import screen_hits, screen_question
from app.settings import ROOT, Settings
from data.errors import InvalidInput
from data.records import Answer, EventType, Hit, Observation, Principal, Query, Sample, SearchResult
from evals.runner import Target
from evals.store import EvalStore
from evals.suite import AnyTarget, ModelTarget, PromptTarget, RagTarget, SearchTarget, StoreSpec, UrlTarget
from prompts.registry import Prompt, load_prompt
from serving.llm import Generator
from serving.local.reader import Draft, ExtractiveReader

if TYPE_CHECKING:
    from app.assay import Assay

EXTRACTIVE = "assay-extractive"
KEPT = 256
"""Searches that are remembered: a case's digest and its answer follow one another."""
FENCE, NOTHING = "SOURCE-0", "nothing"
"""In place of the random fence where prompts are compared, and of the digest of no chunks."""
ANSWERING = (
    "app/rag.py",
    "app/generation.py",
    "app/grounding.py",
    "app/screening*",
    "app/guards.py",
    "app/conversations.py",
    "app/quoting.py",
)
LIBRARY = (
    "serving/llm.py",
    "serving/local/*",
    "serving/local/adapters/*/*",
    "data/sentences.py",
    "data/redaction.py",
    "data/*.txt",
)
SEARCHING = ("retrieval/*.py", "data/*.txt")


def build_target(spec: AnyTarget, settings: Settings, assay: "Assay | None") -> Target:
    """`assay` is the store that a rag or search target asks. Raises: InvalidInput when what the target needs is not there."""
    match spec:
        case RagTarget():
            return rag_target(spec, settings, _opened(assay))
        case SearchTarget():
            return search_target(spec, _opened(assay))
        case UrlTarget():
            return url_target(spec, settings)
        case ModelTarget():
            return model_target(spec, generator_of(spec.model, settings))
        case PromptTarget():
            return prompt_target(spec, generator_of(spec.model, settings))


def rag_target(spec: RagTarget, settings: Settings, assay: "Assay") -> Target:
    """The whole product; leaves no receipt."""
    case = _RagCase(spec, settings, assay)
    return Target(f"rag {_where(spec)}{_by(spec)}", case.answer, case.digest, case.decides)


def search_target(spec: SearchTarget, assay: "Assay") -> Target:
    """The retriever, and the reranker where the settings want it of every search."""

    def search(sample: Sample) -> Observation:
        began = time.perf_counter()
        result = assay.search(_query(spec, sample.question, spec.k))
        return Observation(hits=result.hits, latency_ms=_elapsed_ms(began))

    decides = [
        spec.model_dump(mode="json", exclude={"plant"}),
        assay.keeper.snapshot().id,
        _search_settings(assay),
        _code(SEARCHING),
    ]
    return Target(f"search {_where(spec)} {spec.mode.value}", search, _sha256(decides))


def prompt_of(ref: str) -> Prompt:
    """`name`, `name@version`, or the path of a template file `<name>@<version>.md`. Raises: NotFound, InvalidInput."""
    path = Path(ref)
    is_file = path.suffix == ".md"
    name, _, version = (path.stem if is_file else ref).partition("@")
    if version and not version.isdecimal():
        raise InvalidInput(f"{ref!r} names no version.", field="prompt", next_step="Write name@1, or only the name.")
    number = int(version) if version else None
    return load_prompt(name, number, path.parent.resolve()) if is_file else load_prompt(name, number)


class _RagCase:
    """One search serves both the digest and the answer of a case."""

    def __init__(self, spec: RagTarget, settings: Settings, assay: "Assay") -> None:
        parts = assay.rag.parts
        prompt = prompt_of(spec.prompt) if spec.prompt else parts.prompt()
        self._spec = spec
        self._searched_ms: dict[str, float] = {}
        self._reader = _Confiding(parts.reader)
        self._parts = replace(
            parts,
            retrieve=lru_cache(KEPT)(parts.retrieve),
            rerank=_kept(parts.rerank),
            reader=self._reader,
            prompt=lambda: prompt,
            checkpointer=None,
        )
        self._rag = Rag(self._parts)
        named = generator_of(spec.model, settings) if spec.model not in ("", EXTRACTIVE) else parts.generator
        self._generator = None if spec.model == EXTRACTIVE else named
        versions, snapshot = parts.versions(), assay.keeper.snapshot().id
        self._fixed = [
            spec.model_dump(mode="json", exclude={"prompt", "model", "corpus", "collection", "plant"}),
            versions,
            parts.grounder.id,
            _code(ANSWERING + LIBRARY),
        ]
        self._digests = EvalStore(assay.stores.database)
        self._ordering = [
            _search_settings(assay),
            parts.screening.model_dump(mode="json"),
            parts.guard.id,
            _code(SEARCHING + ANSWERING + LIBRARY),
        ]
        by = _model(self._generator) if self._generator else [parts.reader.digest]
        self.digest = _sha256(
            [self._fixed, spec.model_dump(mode="json", exclude={"plant"}), snapshot, by, prompt.sha256]
        )

    def answer(self, sample: Sample) -> Observation:
        began = time.perf_counter()
        hits: tuple[Hit, ...] = ()
        try:
            question = screen_question(sample.question, self._parts.screening, self._parts.guard)
            for event in self._rag.stream(self._ask(sample)):
                if event.type is EventType.RETRIEVAL:
                    hits = event.result.hits
                elif event.type is EventType.FINAL:
                    answer = event.answer
        except InvalidInput as error:  # the policy refused the question: that is an answer, and no failure
            return Observation(answer=refused(str(error)), latency_ms=_elapsed_ms(began))
        if answer.fallback_from:
            return Observation(error=f"{answer.fallback_from} did not answer; the extractive answer stood in for it")
        answer = answer.model_copy(update={"receipt_id": "", "timings_ms": {}})
        sure = self._reader.confidence_in(question) if answer.model == self._reader.name else _support(answer)
        took = _elapsed_ms(began) + self._searched_ms.get(question, 0.0)
        return Observation(answer=answer, hits=hits, confidence=sure, latency_ms=round(took, 3))

    def decides(self, sample: Sample) -> str:
        """The digest of all that this case's answer comes from."""
        try:
            question = screen_question(sample.question, self._parts.screening, self._parts.guard)
        except InvalidInput as error:
            return _sha256(["refused", str(error)])
        query, began = self._ask(sample).query, time.perf_counter()
        wanted = query.model_copy(update={"text": question, "k": max(query.k, self._parts.depth)})
        seen = self._seen(question, self._parts.retrieve(wanted), query.k)
        self._searched_ms.setdefault(question, _elapsed_ms(began))  # kept for the answer, whose time it is part of
        if self._generator is None or seen == NOTHING:
            return _sha256([self._fixed, "extracted", self._reader.digest, question, seen])
        messages = self._parts.prompt().render(fence=FENCE, sources=seen, question=question)
        return _sha256([self._fixed, "generated", _model(self._generator), messages])

    def _seen(self, question: str, result: SearchResult, k: int) -> str:
        """The digest of the chunks as the answerer sees them. Known again without reranking and screening what was retrieved alike."""
        key = _sha256([self._ordering, question, k, [hit.model_dump(mode="json") for hit in result.hits]])
        if (known := self._digests.get(key)) is not None:
            return known
        seen, _ = screen_hits(self._parts.rerank(question, result.hits, k), self._parts.screening, self._parts.guard)
        found = _sha256([hit.model_dump(mode="json", exclude={"stages", "score"}) for hit in seen]) if seen else NOTHING
        self._digests.put(key, "digest", found)
        return found

    def _ask(self, sample: Sample) -> Ask:
        query = _query(self._spec, sample.question or " ", self._spec.k)
        return Ask(query, self._spec.strict, self._generator is None, generator=self._generator, is_shadow=True)


class _Confiding:
    """An `ExtractiveReader` that remembers how sure it was of its answer to each question."""

    def __init__(self, reader: ExtractiveReader) -> None:
        self._reader = reader
        self._confidence: dict[str, float] = {}
        self.name, self.digest = reader.name, reader.digest

    def answer(self, question: str, hits: Sequence[Hit]) -> Draft:
        draft = self._reader.answer(question, hits)
        self._confidence[question] = draft.confidence
        return draft

    def confidence_in(self, question: str) -> float | None:
        return self._confidence.get(question)


def refused(why: str) -> Answer:
    """The answer of a policy that refuses a question."""
    return Answer(text=why, sentences=(), abstained=True, abstain_reason=why)


def _kept(rerank: Callable[..., tuple[Hit, ...]]) -> Callable[..., tuple[Hit, ...]]:
    known: dict[tuple[Any, ...], tuple[Hit, ...]] = {}

    def reranked(question: str, hits: tuple[Hit, ...], k: int) -> tuple[Hit, ...]:
        key = (question, k, tuple((hit.chunk.id, hit.chunk.document_version) for hit in hits))
        found = known.get(key) or rerank(question, hits, k)
        if len(known) >= KEPT:
            known.clear()
        known[key] = found
        return found

    return reranked


def _support(answer: Answer) -> float | None:
    """A writing model's confidence: the mean support of what it cites; 0 where it abstained or cites nothing."""
    supports = [c.support for sentence in answer.sentences for c in sentence.citations if c.support is not None]
    return sum(supports) / len(supports) if supports else 0.0


def _model(generator: Generator) -> list[Any]:
    return [generator.name, generator.digest, generator.decode]


def _query(spec: StoreSpec, question: str, k: int) -> Query:
    principal = Principal(tenant=spec.tenant, groups=frozenset(spec.groups), subject="eval")
    return Query(text=question, principal=principal, collection=spec.collection, k=k, mode=spec.mode)


def _search_settings(assay: "Assay") -> Any:
    return [assay.stores.search.model_dump(mode="json"), getattr(assay.reranker, "id", "")]


def _where(spec: StoreSpec) -> str:
    return "sample corpus" if spec.corpus else f"collection {spec.collection}" if spec.collection else "all documents"


def _by(spec: RagTarget) -> str:
    return "".join(f", {name} {value}" for name, value in (("model", spec.model), ("prompt", spec.prompt)) if value)


def _opened(assay: "Assay | None") -> "Assay":
    if assay is None:
        raise InvalidInput("A rag or search target needs an opened store.", field="target")
    return assay


@cache
def _code(patterns: tuple[str, ...]) -> str:
    """sha256 of the source that computes answers: an edit of it makes every cached answer another one's."""
    paths = sorted({path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()})
    return _sha256([[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in paths])


def _elapsed_ms(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
