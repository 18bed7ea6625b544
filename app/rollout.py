"""Joins answers and rollouts: which release answers a question, what its answer measured, and shadows in the background.

Tabular models share the engine under names that start with `tabular:`; everything else here is an adapter of the language model.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from data.errors import AssayError
from data.records import Answer, AnswerEvent, EventType, Principal, Support
from serving.rollout.engine import RolloutEngine
from serving.rollout.state import Release, RolloutState, Route, Stage

if TYPE_CHECKING:
    from app.rag import Ask
    from serving.llm import Generator

Streams = Callable[["Ask"], Iterator[AnswerEvent]]
TABULAR = "tabular:"
log = structlog.get_logger("assay.rollout")


class Generators:
    """One client per release, each with its own breaker, so that a broken adapter does not silence the others."""

    def __init__(self, build: Callable[[str], "Generator"]) -> None:
        self._build = build
        self._known: dict[str, Generator] = {}
        self._lock = threading.Lock()

    def of(self, ref: str) -> "Generator":
        with self._lock:
            if ref not in self._known:
                self._known[ref] = self._build(ref)
            return self._known[ref]


class AnswerRollout:
    """`generators` makes a client for a release's name at the model server."""

    def __init__(self, engine: RolloutEngine, generators: Generators) -> None:
        self.engine = engine
        self._generators = generators
        self._pool = ThreadPoolExecutor(engine.config.shadow_workers, thread_name_prefix="shadow")
        self._room = threading.Semaphore(engine.config.shadow_queue)
        self.n_not_mirrored = 0

    # -- who answers

    def models(self) -> tuple[str, ...]:
        """Names that `model` may have: each rollout, and each version of it that users are shown."""
        out: list[str] = []
        for name, state in sorted(self._states().items()):
            out += [name, *(f"{name}@{release.version}" for release, _ in _shown(state))]
        return tuple(out)

    def route(self, principal: Principal, collection: str | None, model: str = "", user: str = "") -> Route | None:
        """The release that answers; None when the question is not for an adapter.

        `user` is OpenAI's field: the end user behind a key that many share.
        """
        states = self._states()
        name, _, version = (model or self.engine.live.bound(principal.tenant, collection)).partition("@")
        if name not in states:
            return None
        if not version:
            return self.engine.route(name, _caller(principal, user), secrets.token_hex(8))
        for release, stage in _shown(states[name]):
            if release.version == version:
                return Route(name, release, stage, states[name].revision)
        return None

    def prepared(self, ask: "Ask", route: Route) -> "Ask":
        """The question as the routed release is asked it."""
        return replace(ask, route=route, generator=self._generators.of(route.ref) if route.release else None)

    # -- what answers measured

    def watched(self, ask: "Ask", stream: Streams) -> Iterator[AnswerEvent]:
        """The routed answer's events; measures it, and mirrors the question where a release is in the shadows."""
        began, route, is_done = time.monotonic(), ask.route, False
        try:
            for event in stream(ask):
                if event.type is EventType.FINAL:  # before it is passed on: who has the answer reads no further
                    is_done = True
                    self._finished(ask, stream, event.answer, time.monotonic() - began)
                yield event
        except GeneratorExit:  # nobody waits any more; when that took long, it says something about the release
            if not is_done and time.monotonic() - began > self.engine.config.slow_s:
                self.engine.observe(route, "", {"slow": 1.0})
            raise

    def rate(self, receipt_id: str, rating: str) -> None:
        """A reader's thumb, for the release that answered."""
        self.engine.rate(receipt_id, {"thumbs": float(rating == "up")})

    # -- life

    def start(self) -> None:
        self.engine.start()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.engine.close()

    # -- inside

    def _states(self) -> dict[str, RolloutState]:
        return {n: s for n, s in self.engine.live.states.items() if not n.startswith(TABULAR)}

    def _finished(self, ask: "Ask", stream: Streams, answer: Answer, seconds: float) -> None:
        metrics = self._measured(answer, seconds)
        self.engine.observe(ask.route, answer.receipt_id, metrics)
        if ask.route.shadow is not None:
            self._mirror(ask, stream, answer.receipt_id, metrics)

    def _measured(self, answer: Answer, seconds: float) -> dict[str, float]:
        """Defined for every answer, so that no release can hide a weakness by leaving a value out.

        An answer that says nothing has said nothing unsupported; that it said nothing is `abstained`.
        """
        n = len(answer.sentences)
        supported = sum(s.support is Support.SUPPORTED for s in answer.sentences)
        return {
            "error": float(bool(answer.fallback_from)),
            "abstained": float(answer.abstained),
            "slow": float(seconds > self.engine.config.slow_s),
            "support": supported / n if n else 1.0,
        }

    def _mirror(self, ask: "Ask", stream: Streams, key: str, incumbent: dict[str, float]) -> None:
        """Ask the shadow the same question later. A stored conversation is not mirrored: it would have to be written to."""
        if ask.query.conversation_id or not self._room.acquire(blocking=False):
            self.n_not_mirrored += 1
            return
        route = ask.route
        name = f"{route.name}@{route.shadow.version}"
        shadow = replace(ask, generator=self._generators.of(name), is_shadow=True, stopped=threading.Event())

        def work() -> None:
            try:
                began = time.monotonic()
                answer = [event for event in stream(shadow) if event.type is EventType.FINAL][-1].answer
                self.engine.observe_pair(route, key, self._measured(answer, time.monotonic() - began), incumbent)
            except AssayError as error:
                log.warning("rollout.shadow_failed", model=name, error=type(error).__name__)
                self.engine.observe_pair(route, key, {"error": 1.0}, incumbent)
            finally:
                self._room.release()

        try:
            self._pool.submit(work)
        except RuntimeError:  # closing
            self._room.release()


def _shown(state: RolloutState) -> list[tuple[Release, Stage]]:
    """Releases whose answers users may see."""
    out = [(state.champion, Stage.CHAMPION)] if state.champion else []
    if state.candidate is not None and state.candidate.stage is Stage.CANARY:
        out.append((state.candidate.release, Stage.CANARY))
    return out


def _caller(principal: Principal, user: str) -> str:
    return "\x1f".join((principal.tenant, principal.subject, user))


def headers(route: Route | None) -> dict[str, str]:
    """Response headers that say which adapter was asked, byte for byte, and which verdict let it answer."""
    if route is None or route.release is None:
        return {}
    found = {
        "X-Assay-Adapter": route.ref,
        "X-Assay-Adapter-Digest": route.release.digest,
        "X-Assay-Verdict": route.release.verdict_id,
    }
    return {name: value for name, value in found.items() if value}
