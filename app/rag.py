"""The life of a question as a LangGraph graph: screen, rewrite, retrieve, rerank, answer, ground, receipt.

Events stream as they happen: what was retrieved, each sentence once its citations are checked, the answer with its receipt.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

import structlog
from langgraph.channels import UntrackedValue
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph

from app import receipts
from app.conversations import Turn, rewritten
from app.generation import Fenced, fenced
from app.grounding import UNKNOWN, Grounder, TextOf, cite, ground, is_true, sentences_of_stream
from app.screening import Flag, ScreeningConfig, screen_hits, screen_question
from data.errors import ModelUnavailable
from data.records import (
    Answer,
    AnswerEvent,
    EventType,
    Hit,
    Principal,
    Query,
    Receipt,
    SearchResult,
    Sentence,
    Support,
    Usage,
)
from prompts.registry import load_prompt
from serving.llm import Generator, Reply
from serving.local.reader import Draft, ExtractiveReader

log = structlog.get_logger()
TURNS_KEPT = 20
"""Earlier turns that a conversation remembers."""


@dataclass(frozen=True)
class Ask:
    """One question and everything that bounds its answer."""

    query: Query
    strict: bool = False
    extractive: bool = False
    history: tuple[Turn, ...] = ()


@dataclass(frozen=True)
class RagParts:
    """What the graph joins. `text_of(principal)` gives access to canonical texts for checking citations."""

    retrieve: Callable[[Query], SearchResult]
    rerank: Callable[[str, tuple[Hit, ...], int], tuple[Hit, ...]]
    reader: ExtractiveReader
    grounder: Grounder
    text_of: Callable[[Principal], TextOf]
    save: Callable[[Receipt], None]
    generator: Generator | None = None
    checkpointer: BaseCheckpointSaver | None = None
    screening: ScreeningConfig = field(default_factory=ScreeningConfig)
    versions: Callable[[], dict[str, str]] = dict
    depth: int = 0
    """How many hits to retrieve for the reranker; 0 where there is none."""


class State(TypedDict, total=False):
    """`turns` is what a conversation keeps; everything else lives for one question."""

    turns: list[Turn]
    ask: Annotated[Ask, UntrackedValue]
    search_text: Annotated[str, UntrackedValue]
    result: Annotated[SearchResult, UntrackedValue]
    seen: Annotated[tuple[Hit, ...], UntrackedValue]
    flags: Annotated[tuple[Flag, ...], UntrackedValue]
    said: Annotated[Iterator[Any], UntrackedValue]
    draft: Annotated[Draft, UntrackedValue]
    reply: Annotated[Reply, UntrackedValue]
    sentences: Annotated[list[Sentence], UntrackedValue]
    dropped: Annotated[int, UntrackedValue]
    fallback_from: Annotated[str, UntrackedValue]
    timings: Annotated[dict[str, float], UntrackedValue]


class Rag:
    """Cheap to call from many threads: the graph is compiled once."""

    def __init__(self, parts: RagParts) -> None:
        self._parts = parts
        self._single = _graph(parts).compile()
        self._conversing = _graph(parts).compile(checkpointer=parts.checkpointer) if parts.checkpointer else None

    def stream(self, ask: Ask) -> Iterator[AnswerEvent]:
        """Yield events as they happen, `final` last. Closing the iterator stops the work."""
        state: State = {"ask": ask, "turns": list(ask.history)}
        graph, config = self._single, {}
        if ask.query.conversation_id and self._conversing is not None:
            graph, config = self._conversing, {"configurable": {"thread_id": receipts.thread_id(ask.query)}}
            state = {"ask": ask}
        options = {"durability": "exit"} if config else {}
        yield from graph.stream(state, config, stream_mode="custom", **options)

    def forget(self, thread: str) -> None:
        """Drop a conversation, given by its `thread_id`."""
        if self._parts.checkpointer is not None:
            self._parts.checkpointer.delete_thread(thread)


def _graph(parts: RagParts) -> StateGraph:
    graph = StateGraph(State)
    steps = {
        "screen": _screen,
        "rewrite": _rewrite,
        "retrieve": _retrieve,
        "rerank": _rerank,
        "answer": _answer,
        "ground": _ground,
        "receipt": _receipt,
    }
    before = START
    for name, step in steps.items():
        graph.add_node(name, _timed(name, step, parts))
        graph.add_edge(before, name)
        before = name
    graph.add_edge(before, END)
    return graph


def _timed(name: str, step: Callable[[State, RagParts], State], parts: RagParts) -> Callable[[State], State]:
    def run(state: State) -> State:
        began = time.perf_counter()
        changed = step(state, parts)
        took = round((time.perf_counter() - began) * 1000, 3)
        return {"timings": state.get("timings", {}) | {name: took}} | changed

    return run


def _screen(state: State, parts: RagParts) -> State:
    return {"search_text": screen_question(state["ask"].query.text, parts.screening)}


def _rewrite(state: State, parts: RagParts) -> State:
    turns = state.get("turns") or []
    if not turns:
        return {}
    generator = None if state["ask"].extractive else parts.generator
    try:
        return {"search_text": rewritten(state["search_text"], turns, generator.complete if generator else None)}
    except ModelUnavailable:
        return {"search_text": rewritten(state["search_text"], turns)}


def _retrieve(state: State, parts: RagParts) -> State:
    query = state["ask"].query
    wanted = query.model_copy(update={"text": state["search_text"], "k": max(query.k, parts.depth)})
    return {"result": parts.retrieve(wanted)}


def _rerank(state: State, parts: RagParts) -> State:
    result = state["result"]
    hits = parts.rerank(state["search_text"], result.hits, state["ask"].query.k)
    result = result.model_copy(update={"hits": hits})
    _emit(AnswerEvent(type=EventType.RETRIEVAL, result=result))
    seen, flags = screen_hits(hits, parts.screening)
    return {"result": result, "seen": seen, "flags": flags}


def _answer(state: State, parts: RagParts) -> State:
    """Starts the answer: the model's text is read, sentence by sentence, while it is grounded."""
    if parts.generator is None or state["ask"].extractive or not state["seen"]:
        return {"draft": parts.reader.answer(state["search_text"], state["seen"])}
    prompt, reply = load_prompt("answer"), Reply()
    given: Fenced = fenced(state["seen"])
    messages = prompt.render(fence=given.fence, sources=given.text, question=state["search_text"])
    return {"said": sentences_of_stream(parts.generator.stream(messages, reply)), "reply": reply}


def _ground(state: State, parts: RagParts) -> State:
    text_of = parts.text_of(state["ask"].query.principal)
    if "said" not in state:
        return {"sentences": _released(_extracted(state["draft"], text_of)), "dropped": 0}
    released: list[Sentence] = []
    dropped = 0
    try:
        for written in state["said"]:
            if UNKNOWN.match(written.text):
                continue
            sentence, n = ground(written, state["seen"], parts.grounder, text_of)
            dropped += n
            if sentence.support is Support.SUPPORTED or not state["ask"].strict:
                released += _released([sentence])
    except ModelUnavailable as error:
        log.warning("answer.fallback", model=parts.generator.name, reason=str(error)[:200])
        draft = parts.reader.answer(state["search_text"], state["seen"])
        released += _released(_extracted(draft, text_of))
        return {"sentences": released, "dropped": dropped, "fallback_from": parts.generator.name}
    return {"sentences": released, "dropped": dropped}


def _receipt(state: State, parts: RagParts) -> State:
    ask, result = state["ask"], state["result"]
    generated = "said" in state and not state.get("fallback_from")
    sentences = tuple(state["sentences"])
    identity = receipts.new_id()
    answer = Answer(
        text=" ".join(s.text for s in sentences) if sentences else "I don't know.",
        sentences=sentences,
        abstained=not sentences,
        abstain_reason="" if sentences else _why_unknown(state),
        model=parts.generator.name if generated else parts.reader.name,
        fallback_from=state.get("fallback_from", ""),
        dropped_citations=state["dropped"],
        usage=state["reply"].usage if generated else Usage(),
        timings_ms=state["timings"],
        receipt_id=identity,
        conversation_id=ask.query.conversation_id,
    )
    prompt = load_prompt("answer") if generated else None
    parts.save(
        receipts.seal(
            Receipt(
                id=identity,
                created_at=datetime.now(UTC),
                principal=ask.query.principal,
                question=ask.query.text,
                search_text=state["search_text"],
                query=ask.query.model_copy(update={"text": state["search_text"]}),
                snapshot_id=result.snapshot_id,
                hits=receipts.receipt_hits(result.hits),
                answer=answer,
                prompt=prompt.ref if prompt else "",
                prompt_sha256=prompt.sha256 if prompt else "",
                model=answer.model,
                decode=dict(parts.generator.decode) if generated else {},
                versions=parts.versions(),
            )
        )
    )
    _emit(AnswerEvent(type=EventType.FINAL, answer=answer))
    turns = [*(state.get("turns") or []), (state["search_text"], answer.text)]
    return {"turns": turns[-TURNS_KEPT:]}


def _extracted(draft: Draft, text_of: TextOf) -> list[Sentence]:
    """Quotes are their own proof; each is checked against the stored text all the same."""
    out = []
    for extract in draft.extracts:
        citation = cite(extract.hit, extract.start, extract.end, support=1.0)
        if is_true(citation, text_of):
            out.append(Sentence(text=_plain(extract.text), citations=(citation,), support=Support.SUPPORTED))
    return out


def _plain(text: str) -> str:
    """A quoted sentence or table row as running text."""
    cells = [cell.strip() for cell in text.strip().strip("|").split("|")]
    joined = ", ".join(cell for cell in cells if cell) if text.lstrip().startswith("|") else text
    return " ".join(joined.split())


def _released(sentences: list[Sentence]) -> list[Sentence]:
    for sentence in sentences:
        _emit(AnswerEvent(type=EventType.MESSAGE, sentence=sentence))
        for citation in sentence.citations:
            _emit(AnswerEvent(type=EventType.CITATION, citation=citation))
    return sentences


def _why_unknown(state: State) -> str:
    if not state["result"].hits:
        return "Nothing that you may read was found."
    if "draft" in state:
        return f"No passage found answers the question with enough certainty (best {state['draft'].confidence:.2f})."
    return "The model found no answer in the passages, or none that they support."


def _emit(event: AnswerEvent) -> None:
    get_stream_writer()(event)
