"""The rollout engine of one process: follows the database, routes requests, collects outcomes, moves trials.

One engine serves language and tabular models alike: it is told names, versions, digests and numbers, and asks nothing else.
Following is a poll of the newest event's id (`poll_s`), so a rollback anywhere is in force here within that time.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import structlog

from data.database import Database
from data.errors import AssayError
from serving.rollout.config import RolloutConfig
from serving.rollout.judge import Judge, Move
from serving.rollout.outcomes import Later, OutcomeStore, RolloutOutcome
from serving.rollout.state import Candidate, RolloutState, Route, Stage, routed
from serving.rollout.store import By, Live, Moved, RolloutStore

log = structlog.get_logger("assay.rollout")
AUTOMATIC = "sequential test"
"""Who moved, in the history of moves that nobody made by hand."""
PENDING_LIMIT = 10_000


class RolloutEngine:
    """Cheap to build. `start()` follows in a thread; without it `refresh()` follows once (commands, tests)."""

    def __init__(self, database: Database, config: RolloutConfig = RolloutConfig()) -> None:
        self.store = RolloutStore(database)
        self.outcomes = OutcomeStore(database)
        self.config = config
        self._live = Live()
        self._is_read = False
        self._pending: deque[RolloutOutcome] = deque(maxlen=PENDING_LIMIT)
        self._judges: dict[tuple[str, int], tuple[Judge, int]] = {}
        self._followers: list[Callable[[Live], None]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._judging = threading.Lock()

    # -- serving: no query, no lock

    @property
    def live(self) -> Live:
        if not self._is_read:
            self.refresh()
        return self._live

    def route(self, name: str, caller: str, request: str = "") -> Route:
        """Where a request goes. `caller` is whoever should always go the same way; an unknown name goes to its base."""
        state = self.live.states.get(name) or RolloutState(name=name)
        return routed(state, caller, request or caller)

    def observe(self, route: Route, key: str, metrics: Mapping[str, float]) -> None:
        """Keep what an answer measured. Outside a canary there is nothing to decide, and nothing is kept."""
        if route.trial and route.share:
            arm = "candidate" if route.stage is Stage.CANARY else "incumbent"
            self._keep(route, key, arm, metrics, {})

    def observe_pair(
        self, route: Route, key: str, candidate: Mapping[str, float], incumbent: Mapping[str, float]
    ) -> None:
        """Keep what a shadow and the release that answered measured on the same request."""
        if route.trial and route.shadow:
            self._keep(route, key, "pair", candidate, incumbent)

    def rate(self, key: str, metrics: Mapping[str, float]) -> bool:
        """Add what became known of an answer later. False when the answer was part of no trial."""
        self.flush()
        return self.outcomes.rate(key, metrics)

    def rate_all(self, later: Sequence[Later]) -> int:
        """The same of many answers at once, shadows' beside those that were shown."""
        self.flush()
        return self.outcomes.rate_all(later)

    # -- following

    def follow(self, follower: Callable[[Live], None]) -> None:
        self._followers.append(follower)

    def start(self) -> None:
        self.refresh()
        self._thread = threading.Thread(target=self._run, name="rollout", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)
        self.flush()

    def refresh(self) -> None:
        """Follow the database once."""
        if not self._is_read or self.store.generation() != self._live.generation:
            self._live = self.store.live()
            self._is_read = True
            for follower in self._followers:
                follower(self._live)

    def flush(self) -> None:
        """Write the outcomes collected so far. Those of the last poll are lost when the process is killed."""
        found = []
        while self._pending:
            found.append(self._pending.popleft())
        self.outcomes.add(found)

    # -- deciding

    def decide(self) -> None:
        """Weigh every running trial; move those whose evidence is enough. Safe in any number of processes at once."""
        with self._judging:
            self._judges = {k: v for k, v in self._judges.items() if self._is_running(*k)}
            for name, state in self.live.states.items():
                if state.candidate is not None:
                    self._decide(name, state, state.candidate)

    def judged(self, name: str) -> Judge | None:
        """A trial's evidence, weighed from its stored outcomes; None without a trial."""
        state = self.store.state(name)
        return self._weighed(name, state.candidate)[0] if state.candidate else None

    # -- inside

    def _run(self) -> None:
        since_judged = 0.0
        while not self._stop.wait(self.config.poll_s):
            since_judged += self.config.poll_s
            try:
                self.refresh()
                self.flush()
                if since_judged >= self.config.judge_s:
                    since_judged = 0.0
                    self.decide()
            except AssayError as error:  # the database is away: what was in force stays in force
                log.warning("rollout.following_failed", error=str(error))
            except Exception:
                log.exception("rollout.following_failed")

    def _keep(self, route: Route, key: str, arm: str, metrics: Mapping, against: Mapping) -> None:
        self._pending.append(
            RolloutOutcome(
                name=route.name,
                trial=route.trial,
                key=key,
                unit=route.unit,
                arm=arm,
                metrics=dict(metrics),
                against=dict(against),
                share=route.share,
            )
        )

    def _is_running(self, name: str, trial: int) -> bool:
        state = self._live.states.get(name)
        return bool(state and state.candidate and state.candidate.trial == trial)

    def _decide(self, name: str, state: RolloutState, candidate: Candidate) -> None:
        judge, _ = self._weighed(name, candidate)
        decision = judge.decision
        if decision.move is Move.WAIT or not candidate.policy.is_automatic:
            return
        by = By(AUTOMATIC, decision.why, expected=state.revision)
        try:
            if decision.move is Move.ROLLBACK:
                self.store.rollback(name, by)
            else:
                self.store.promote(name, by)
        except Moved:
            pass  # another process made the same move first
        except AssayError as error:  # no passing verdict: it stays on trial until the gate has spoken
            log.info("rollout.held", name=name, why=str(error))
            return
        log.info("rollout.moved", name=name, version=candidate.release.version, move=decision.move, why=decision.why)
        self.refresh()

    def _weighed(self, name: str, candidate: Candidate) -> tuple[Judge, int]:
        judge, last = self._judges.get((name, candidate.trial)) or (Judge(candidate.policy), 0)
        while found := self.outcomes.since(name, candidate.trial, last):
            judge.weigh(outcome for _, outcome in found)
            last = found[-1][0]
        self._judges[name, candidate.trial] = judge, last
        return judge, last
