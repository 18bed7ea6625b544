"""The life of a question as a LangGraph graph: screen, rewrite, retrieve, rerank, answer, ground, receipt.

Events stream as they happen: what was retrieved, each sentence once its citations are checked, the answer with its receipt.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, TypedDict

import structlog
from langgraph.channels import UntrackedValue
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import Pregel

from app import receipts
from app.conversations import REWRITE, Turn, carried_over, rewritten_by
from app.generation import Fenced, fenced
from app.grounding import UNKNOWN, Grounder, TextOf, ground, sentences_of_stream
from app.guards import Guard
from app.quoting import is_told, quotes
from app.screening import NO_GUARD, ScreeningConfig, is_toxic, screen_hits, screen_question
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
    Withheld,
)
from prompts.registry import Prompt, load_prompt
from serving.llm import Generator, Reply
from serving.local.reader import Draft, ExtractiveReader
from serving.rollout.state import Route

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
    generator: Generator | None = None
    """The model that answers this one question, where it is not the configured one."""
    route: Route | None = None
    """The release that was chosen to answer, for the receipt."""
    is_shadow: bool = False
    """Measured and thrown away: leaves no receipt."""
    stopped: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set when nobody waits for the answer any more, by whichever thread learns of it."""


class NobodyWaits(Exception):
    """Ends the graph in the middle of a step."""


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
    guard: Guard = NO_GUARD
    versions: Callable[[], dict[str, str]] = dict
    prompt: Callable[[], Prompt] = lambda: load_prompt("answer")
    """What the model is told: the newest `answer`."""
    depth: int = 0
    """How many hits to retrieve for the reranker; 0 where there is none."""


class State(TypedDict, total=False):
    """`turns` is what a conversation keeps; everything else lives for one question.

    `seen` are the hits as the answerer may see them, `withheld` is what it may not; `events` are kept until a step ends where no
    model writes.
    """

    turns: list[Turn]
    ask: Annotated[Ask, UntrackedValue]
    search_text: Annotated[str, UntrackedValue]
    result: Annotated[SearchResult, UntrackedValue]
    events: Annotated[deque[AnswerEvent], UntrackedValue]
    seen: Annotated[tuple[Hit, ...], UntrackedValue]
    withheld: Annotated[tuple[Withheld, ...], UntrackedValue]
    rewriter: Annotated[str, UntrackedValue]
    said: Annotated[Iterator[Any], UntrackedValue]
    draft: Annotated[Draft, UntrackedValue]
    reply: Annotated[Reply, UntrackedValue]
    sentences: Annotated[list[Sentence], UntrackedValue]
    dropped: Annotated[int, UntrackedValue]
    n_written: Annotated[int, UntrackedValue]
    fallback_from: Annotated[str, UntrackedValue]
    timings: Annotated[dict[str, float], UntrackedValue]


class Rag:
    """Cheap to call from many threads: the graph is compiled once."""

    def __init__(self, parts: RagParts) -> None:
        self.parts = parts
        self._single = _graph(parts).compile()
        self._conversing = _graph(parts).compile(checkpointer=parts.checkpointer) if parts.checkpointer else None

    def stream(self, ask: Ask) -> Iterator[AnswerEvent]:
        """Yield events as they happen, `final` last, when all is stored.

        Closing the iterator stops the work, and so does setting `ask.stopped`, even in the middle of a step.
        """
        state: State = {"ask": ask}
        graph, config = self._single, {}
        if ask.query.conversation_id and self._conversing is not None:
            graph, config = self._conversing, {"configurable": {"thread_id": receipts.thread_id(ask.query)}}
        else:
            state["turns"] = list(ask.history)
        options = {"durability": "exit"} if config else {}
        if _generator(state, self.parts) is None or ask.extractive:
            events = _events_between_steps(graph, state, config, **options)
        else:
            events = graph.stream(state, config, stream_mode="custom", **options)
        final = None
        try:
            for event in events:
                if event.type is EventType.FINAL:
                    final = event
                else:
                    yield event
        except NobodyWaits:
            return
        finally:  # told before `close()`, which waits for the step at work
            ask.stopped.set()
            events.close()
        yield final

    def warm_up(self) -> None:
        """Have everything loaded that a first question would wait for: answers one that nobody asked and that finds nothing."""
        nobody = Query(text="Is it ready?", principal=Principal(tenant="", subject=""))
        for _ in self.stream(Ask(nobody, extractive=True, is_shadow=True)):
            pass

    def forget(self, thread: str) -> None:
        """Drop a conversation, given by its `thread_id`."""
        if self.parts.checkpointer is not None:
            self.parts.checkpointer.delete_thread(thread)

    def close(self) -> None:
        """Let go of the conversations' connection. Answers that are under way must have ended."""
        if connection := getattr(
            self.parts.checkpointer, "conn", None
        ):  # a connection or a pool: LangGraph closes neither
            connection.close()


def _events_between_steps(graph: Pregel, state: State, config: dict, **options: str) -> Iterator[AnswerEvent]:
    """Where no model writes, nothing happens within a step that a reader could wait for.

    So the steps need no threads of their own, which saves half of what the graph costs (4 ms an answer).
    """
    state["events"] = told = deque()
    with closing(graph.stream(state, config, stream_mode="updates", **options)) as steps:
        for _ in steps:
            while told:
                yield told.popleft()


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
    return {"search_text": screen_question(state["ask"].query.text, parts.screening, parts.guard)}


def _rewrite(state: State, parts: RagParts) -> State:
    turns = state.get("turns") or []
    if not turns:
        return {}
    question = state["search_text"]
    generator = None if state["ask"].extractive else _generator(state, parts)
    if generator is not None:
        try:
            complete = partial(generator.complete, stopped=state["ask"].stopped)
            if stands_alone := rewritten_by(complete, question, turns):
                return {"search_text": stands_alone, "rewriter": load_prompt(REWRITE).ref}
        except ModelUnavailable as error:
            log.warning("rewrite.fallback", model=generator.name, reason=str(error)[:200])
    return {"search_text": carried_over(question, turns[-1][0])}


def _retrieve(state: State, parts: RagParts) -> State:
    query = state["ask"].query
    wanted = query.model_copy(update={"text": state["search_text"], "k": max(query.k, parts.depth)})
    return {"result": parts.retrieve(wanted)}


def _rerank(state: State, parts: RagParts) -> State:
    result = state["result"]
    hits = parts.rerank(state["search_text"], result.hits, state["ask"].query.k)
    result = result.model_copy(update={"hits": hits})
    _emit(state, AnswerEvent(type=EventType.RETRIEVAL, result=result))
    seen, withheld = screen_hits(hits, parts.screening, parts.guard)
    for stretch in withheld:
        log.info("screen.withheld", **stretch.model_dump())
    return {"result": result, "seen": seen, "withheld": withheld}


def _answer(state: State, parts: RagParts) -> State:
    """Starts the answer: the model's text is read, sentence by sentence, while it is grounded."""
    generator = _generator(state, parts)
    if generator is None or state["ask"].extractive or not state["seen"]:
        return {"draft": parts.reader.answer(state["search_text"], state["seen"])}
    prompt, reply = parts.prompt(), Reply()
    given: Fenced = fenced(state["seen"])
    messages = prompt.render(fence=given.fence, sources=given.text, question=state["search_text"])
    stopped = state["ask"].stopped
    pieces = _until(stopped, generator.stream(messages, reply, stopped))
    return {"said": sentences_of_stream(pieces), "reply": reply}


def _ground(state: State, parts: RagParts) -> State:
    text_of = parts.text_of(state["ask"].query.principal)
    if "said" not in state:
        return {"sentences": _released(state, quotes(state["draft"], text_of)), "dropped": 0}
    released: list[Sentence] = []
    dropped, needs_proof = 0, state["ask"].strict
    try:
        for written in state["said"]:
            if UNKNOWN.match(written.text):
                needs_proof = (
                    True  # what a model adds after "I don't know" is an answer only where a source bears it out
                )
                continue
            if parts.screening.toxic_answers == "withhold" and is_toxic(written.text, parts.screening, parts.guard):
                log.warning("screen.toxic_sentence", model=_generator(state, parts).name)
                continue
            sentence, n = ground(written, state["seen"], parts.grounder, text_of)
            dropped += n
            if sentence.support is Support.SUPPORTED or not needs_proof:
                released += _released(state, [sentence])
    except ModelUnavailable as error:
        name = _generator(state, parts).name
        log.warning("answer.fallback", model=name, reason=str(error)[:200])
        quoted = quotes(parts.reader.answer(state["search_text"], state["seen"]), text_of)
        said = list(released)
        released += _released(state, [s for s in quoted if not is_told(s, said)])
        return {"sentences": released, "dropped": dropped, "fallback_from": name, "n_written": len(said)}
    return {"sentences": released, "dropped": dropped, "n_written": len(released)}


def _receipt(state: State, parts: RagParts) -> State:
    answer = _answer_of(state, parts)
    if not state["ask"].is_shadow:
        parts.save(receipts.seal(_receipt_of(answer, state, parts)))
    _emit(state, AnswerEvent(type=EventType.FINAL, answer=answer))
    turns = [*(state.get("turns") or []), (state["search_text"], answer.text)]
    return {"turns": turns[-TURNS_KEPT:]}


def _answer_of(state: State, parts: RagParts) -> Answer:
    sentences = tuple(state["sentences"])
    by_model = "said" in state and not state.get("fallback_from")
    return Answer(
        text=" ".join(s.text for s in sentences) if sentences else "I don't know.",
        sentences=sentences,
        abstained=not sentences,
        abstain_reason="" if sentences else _why_unknown(state),
        model=_generator(state, parts).name if by_model else parts.reader.name,
        fallback_from=state.get("fallback_from", ""),
        dropped_citations=state["dropped"],
        withheld=state["withheld"],
        usage=state["reply"].usage if "reply" in state else Usage(),
        timings_ms=state["timings"],
        receipt_id=receipts.new_id(),
        conversation_id=state["ask"].query.conversation_id,
    )


def _receipt_of(answer: Answer, state: State, parts: RagParts) -> Receipt:
    """Names the prompt and the decode settings wherever a model wrote any of the answer, also when it broke off later."""
    ask, result = state["ask"], state["result"]
    by_model = "said" in state and not answer.fallback_from
    has_written = by_model or bool(state.get("n_written"))
    generator = _generator(state, parts) if has_written else None
    release = ask.route.release if by_model and ask.route else None
    prompt = parts.prompt() if has_written else None
    guarded = {"guard": parts.guard.id} if parts.guard.id else {}
    rewriter = {"prompt.rewrite": state["rewriter"]} if "rewriter" in state else {}
    return Receipt(
        id=answer.receipt_id,
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
        model=parts.generator.name if release and parts.generator else answer.model,
        adapter=ask.route.ref if release else "",
        model_digest=release.digest if release else generator.digest if by_model else parts.reader.digest,
        decode={"strict": ask.strict} | (dict(generator.decode) if generator else {}),
        versions=parts.versions() | {"grounder": parts.grounder.id} | guarded | rewriter,
    )


def _generator(state: State, parts: RagParts) -> Generator | None:
    return state["ask"].generator or parts.generator


def _released(state: State, sentences: list[Sentence]) -> list[Sentence]:
    for sentence in sentences:
        _emit(state, AnswerEvent(type=EventType.MESSAGE, sentence=sentence))
        for citation in sentence.citations:
            _emit(state, AnswerEvent(type=EventType.CITATION, citation=citation))
    return sentences


def _until(stopped: threading.Event, pieces: Iterator[str]) -> Iterator[str]:
    """The pieces until somebody says stop; then the model is told to stop as well. Raises: NobodyWaits."""
    with closing(pieces):
        for piece in pieces:
            if stopped.is_set():
                break
            yield piece
    if stopped.is_set():
        raise NobodyWaits


def _why_unknown(state: State) -> str:
    if not state["result"].hits:
        return "Nothing that you may read was found."
    if "draft" in state:
        return f"Nothing found answers the question with enough certainty (best {state['draft'].confidence:.2f})."
    if name := state.get("fallback_from"):
        return f"The model {name} did not answer, and no sentence found does with enough certainty."
    return "The model found no answer in the chunks it was shown, or none that they support."


def _emit(state: State, event: AnswerEvent) -> None:
    tell = state["events"].append if "events" in state else get_stream_writer()
    tell(event)
