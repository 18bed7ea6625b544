"""Joins tabular models and rollouts: which version answers, what is measured, kept and learnt of it, and shadows in the background.

Tabular models share the engine of the adapters under names that start with `tabular:`; what a trial watches is in `app.prediction_trial`.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from app.prediction_trial import learnt, outcome_key, prediction_key
from app.rollout import TABULAR
from data.errors import AssayError, InvalidInput, NotFound
from data.records import Principal, Verdict
from data.tabular.model import TabularModel
from data.tabular.table_spec import TableSpec
from serving.rollout.engine import RolloutEngine
from serving.rollout.state import Route, Stage
from serving.rollout.verdicts import record_verdict
from serving.tabular.config import TabularConfig
from serving.tabular.model_store import ModelStore
from serving.tabular.prediction_log import PredictionLog
from serving.tabular.prediction_metrics import PredictionMetrics
from serving.tabular.prediction_store import KeptPrediction, PredictionLabel
from serving.tabular.predictor import Predictor, Scored
from serving.tabular.row_contract import Row, RowsRefused

Known = tuple[str, bool, datetime | None]
"""A prediction's key or a row's own id, whether it was positive, and when that was known; None for now."""
log = structlog.get_logger("assay.tabular")
PINNED = "pinned"
QUICK_ROWS = 4


@dataclass(frozen=True)
class Explain:
    """How predictions are explained: `evals.tabular` does it, here it is only called."""

    row: Callable[[TabularModel, Row], Mapping[str, Any]]
    """What each column adds to one score."""
    importance: Callable[[TabularModel], Mapping[str, float]]
    """How much each column moves scores on the whole, the most first."""


@dataclass(frozen=True)
class PredictionRequest:
    model: str
    rows: Sequence[Row]
    request_id: str
    principal: Principal


@dataclass(frozen=True)
class Predicted:
    """What one request was answered."""

    predictor: Predictor
    scored: Scored
    stage: str
    request_id: str
    route: Route | None = None
    seconds: float = 0.0

    @property
    def keys(self) -> list[str]:
        """One per row: labels and explanations name them."""
        return [prediction_key(self.request_id, at) for at in range(len(self.scored))]


class Predictions:
    """Tabular models as the API and the commands see them."""

    def __init__(
        self,
        store: ModelStore,
        engine: RolloutEngine,
        kept: PredictionLog,
        config: TabularConfig = TabularConfig(),
        *,
        owns_engine: bool = True,
        explain: Explain | None = None,
    ) -> None:
        self.store = store
        self.engine = engine
        self.kept = kept
        self.config = config
        self.metrics = PredictionMetrics()
        self.n_not_mirrored = 0
        self._explain = explain
        self._owns_engine = owns_engine
        self._is_following = not owns_engine
        self._starting = threading.Lock()
        self._pool = ThreadPoolExecutor(engine.config.shadow_workers, thread_name_prefix="tabular-shadow")
        self._room = threading.Semaphore(engine.config.shadow_queue)

    # -- answering

    def predict(
        self, model: str, rows: Sequence[Row], request_id: str, principal: Principal = Principal()
    ) -> Predicted:
        """`model` is NAME, NAME@VERSION or NAME@ALIAS.

        Raises: NotFound for a model; InvalidInput for the number of rows; RowsRefused naming every wrong field.
        """
        self._check_count(rows)
        asked = PredictionRequest(model, rows, request_id, principal)
        name, _, wanted = asked.model.partition("@")
        route, chosen = None, None
        if wanted:
            predictor, stage = self.store.predictor(name, wanted), PINNED
        else:
            predictor, stage = self._base(name), str(Stage.CHAMPION)
            route = self._routed(name, predictor, asked)
            if route.stage is Stage.CANARY:
                chosen = self._of_canary(route, asked)
        if chosen is None:
            chosen = self._of_incumbent(predictor, stage, route, asked)
        scored, seconds, predictor, stage = chosen
        found = Predicted(predictor, scored, stage, asked.request_id, route, seconds)
        self._remember(found, asked)
        if route is not None and route.shadow is not None:
            self._mirror(found, asked)
        return found

    def is_quick(self, model: str, rows: Sequence[Row]) -> bool:
        """Whether `predict` takes less time than to hand it to a thread: few rows, of models in memory."""
        if len(rows) > QUICK_ROWS or not self._is_following:
            return False
        name, _, wanted = model.partition("@")
        state = None if wanted else self._state(name)
        if state is None:
            return self.store.is_loaded(name, wanted)
        known = all(self.store.is_loaded(name, one.version) for one in state.live)
        return known and (state.champion is not None or self.store.is_loaded(name))

    def describe(self, model: str) -> Predictor:
        """The version that `name`, `name@version` or `name@alias` means. Raises: NotFound."""
        name, _, wanted = model.partition("@")
        return self.store.predictor(name, wanted) if wanted else self._base(name)

    def spec(self, name: str) -> TableSpec:
        """The contract of a model's newest version. Raises: NotFound."""
        versions = self.store.versions(name) or [self.store.resolve(name)]
        return self.store.predictor(name, versions[-1]).model.spec

    def default_model(self) -> str:
        """What `/invocations` asks. Raises: NotFound where several models leave it open."""
        names = self.store.names()
        if self.config.default_model:
            return self.config.default_model
        if len(names) != 1:
            raise NotFound(
                f"There are {len(names)} tabular models; /invocations needs to know which.",
                next_step="Set ASSAY_TABULAR__DEFAULT_MODEL, or use /v1/models/NAME/invocations.",
            )
        return names[0]

    def explain(self, model: str, row: Row, request_id: str) -> tuple[Predicted, Mapping[str, Any]]:
        """A row's score, and what each column adds to it. Raises: as `predict`."""
        predictor = self.describe(model)
        scored, seconds, *_ = self._score(predictor, [row], PINNED)
        return Predicted(predictor, scored, PINNED, request_id, None, seconds), self._explained(predictor, row)

    def explain_kept(self, key: str, principal: Principal) -> tuple[KeptPrediction, Mapping[str, Any]]:
        """A prediction that was shown, explained by the version that made it. Raises: NotFound."""
        self.kept.flush()
        kept = self.kept.store.find(key, principal.tenant)
        return kept, self._explained(self.store.predictor(kept.model, kept.version), kept.row)

    def importance(self, model: str) -> tuple[Predictor, Mapping[str, float]]:
        """What moves a model's scores on its held-out rows. Raises: NotFound."""
        predictor = self.describe(model)
        return predictor, self._explaining().importance(predictor.model)

    # -- learning

    def learn(self, model: str, known: Sequence[Known], principal: Principal = Principal()) -> int:
        """Keep what became known, also for a trial that runs; returns how many kept predictions it is about."""
        self.spec(model)
        labels = [PredictionLabel(subject=s, label=is_positive, known_at=_utc(at)) for s, is_positive, at in known]
        self.kept.flush()
        n = self.kept.store.label(model, labels, principal.tenant)
        if self._state(model) is not None:
            label_of = {one.subject: one.label for one in labels}
            kept = self.kept.store.of_subjects(model, list(label_of), principal.tenant)
            learnt(self.engine, kept, lambda one: label_of.get(one.key, label_of.get(one.entity, False)))
        return n

    def record(self, verdict: Verdict) -> None:
        """Keep what the gate said of a version."""
        record_verdict(self.kept.store.database, verdict)

    # -- life

    def warm_up(self) -> None:
        """Load what users are answered by, so that the first does not wait. What cannot be loaded is told in the log."""
        for name in self.store.names():
            try:
                self._base(name)
            except Exception as error:
                log.warning("tabular.not_loaded", model=name, error=str(error))

    def is_ready(self) -> bool:
        """Whether every model that answers is loaded or can be."""
        try:
            return all(self._base(name) for name in self.store.names())
        except AssayError as error:
            log.warning("tabular.not_ready", error=str(error))
            return False

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.kept.close()
        if self._owns_engine and self._is_following:
            self.engine.close()

    # -- inside

    def _base(self, name: str) -> Predictor:
        """The champion: the rollout's where one was promoted, else the alias's."""
        state = self._state(name)
        if state is not None and state.champion is not None:
            return self.store.predictor(name, state.champion.version, digest=state.champion.digest)
        return self.store.predictor(name)

    def _state(self, name: str) -> Any:
        if not self._is_following:
            with self._starting:
                if not self._is_following:
                    self.engine.start()
                    self._is_following = True
        return self.engine.live.states.get(TABULAR + name)

    def _routed(self, name: str, base: Predictor, asked: PredictionRequest) -> Route:
        caller = "\x1f".join((asked.principal.tenant, asked.principal.subject))
        unit = entity_of(base, asked.rows[0]) if len(asked.rows) == 1 else ""
        return self.engine.route(TABULAR + name, caller, unit or asked.request_id)

    def _of_canary(self, route: Route, asked: PredictionRequest) -> tuple[Scored, float, Predictor, str] | None:
        """The canary's answer. Where it fails, that is its error, and the champion answers."""
        name, key = route.name.removeprefix(TABULAR), outcome_key(asked.request_id)
        try:
            predictor = self.store.predictor(name, route.release.version, digest=route.release.digest)
            answered = self._score(predictor, asked.rows, str(Stage.CANARY))
        except Exception as error:
            if isinstance(error, RowsRefused) and self._refuses(self._base(name), asked.rows):
                raise
            log.warning("tabular.canary_failed", model=route.ref, error=type(error).__name__)
            self.engine.observe(route, key, {"error": 1.0, "slow": 0.0})
            return None
        return answered

    def _of_incumbent(
        self, predictor: Predictor, stage: str, route: Route | None, asked: PredictionRequest
    ) -> tuple[Scored, float, Predictor, str]:
        try:
            return self._score(predictor, asked.rows, stage)
        except RowsRefused:
            raise
        except Exception:
            if route is not None and route.stage is not Stage.CANARY:
                self.engine.observe(route, outcome_key(asked.request_id), {"error": 1.0, "slow": 0.0})
            raise

    def _refuses(self, predictor: Predictor, rows: Sequence[Row]) -> bool:
        try:
            predictor.contract.check(rows)
        except RowsRefused:
            return True
        return False

    def _score(self, predictor: Predictor, rows: Sequence[Row], stage: str) -> tuple[Scored, float, Predictor, str]:
        began = time.perf_counter()
        try:
            scored = predictor.score_rows(rows)
        except RowsRefused:
            self.metrics.refused(predictor.name, predictor.version, len(rows))
            raise
        except Exception:
            self.metrics.failed(predictor.name, predictor.version, len(rows))
            raise
        seconds = time.perf_counter() - began
        self.metrics.scored(predictor, scored, seconds)
        return scored, seconds, predictor, stage

    def _remember(self, found: Predicted, asked: PredictionRequest) -> None:
        predictor, route = found.predictor, found.route
        log.info(
            "tabular.prediction",
            model=predictor.model.ref,
            stage=found.stage,
            n_rows=len(found.scored),
            n_positive=int(found.scored.decisions.sum()),
            ms=round(found.seconds * 1000, 3),
        )
        is_fallback = route is not None and route.stage is Stage.CANARY and found.stage != Stage.CANARY
        if route is not None and not is_fallback:
            self.engine.observe(route, outcome_key(asked.request_id), self._measured(found.seconds))
        trial = route.trial if route is not None and not is_fallback else 0
        self._keep(found, asked, trial)

    def _keep(self, found: Predicted, asked: PredictionRequest, trial: int) -> None:
        """A trial's predictions are all kept: its labels are looked up by them."""
        if not trial and not self.kept.wants(asked.request_id):
            return
        now = datetime.now(UTC)
        predictor, scored = found.predictor, found.scored
        self.kept.keep(
            [
                KeptPrediction(
                    key=key,
                    entity=entity_of(predictor, row),
                    tenant=asked.principal.tenant,
                    model=predictor.name,
                    version=predictor.version,
                    stage=found.stage,
                    trial=trial,
                    score=float(scored.scores[at]),
                    decision=bool(scored.decisions[at]),
                    row=_without_label(predictor, row),
                    features=scored.features[at].astype("<f4", copy=False).tobytes(),
                    at=now,
                )
                for at, (key, row) in enumerate(zip(found.keys, asked.rows, strict=True))
            ]
        )

    def _mirror(self, found: Predicted, asked: PredictionRequest) -> None:
        """Ask the shadow the same rows later."""
        if not self._room.acquire(blocking=False):
            self.n_not_mirrored += 1
            return
        route, key, incumbent = found.route, outcome_key(asked.request_id), self._measured(found.seconds)

        def work() -> None:
            try:
                predictor = self.store.predictor(found.predictor.name, route.shadow.version, digest=route.shadow.digest)
                scored, seconds, *_ = self._score(predictor, asked.rows, str(Stage.SHADOW))
                shadow = Predicted(predictor, scored, str(Stage.SHADOW), asked.request_id, route, seconds)
                self._keep(shadow, asked, route.trial)
                changed = float((scored.decisions != found.scored.decisions).mean())
                measured = self._measured(seconds) | {"changed": changed}
                self.engine.observe_pair(route, key, measured, incumbent | {"changed": 0.0})
            except Exception as error:
                log.warning("tabular.shadow_failed", model=route.name, error=type(error).__name__)
                self.engine.observe_pair(route, key, {"error": 1.0}, incumbent)
            finally:
                self._room.release()

        try:
            self._pool.submit(work)
        except RuntimeError:  # closing
            self._room.release()

    def _measured(self, seconds: float) -> dict[str, float]:
        return {"error": 0.0, "slow": float(seconds * 1000 > self.config.slow_ms)}

    def _explained(self, predictor: Predictor, row: Row) -> Mapping[str, Any]:
        return self._explaining().row(predictor.model, row)

    def _explaining(self) -> Explain:
        if self._explain is None:
            raise NotFound("This server explains no predictions.")
        return self._explain

    def _check_count(self, rows: Sequence[Row]) -> None:
        if not 1 <= len(rows) <= self.config.max_rows:
            raise InvalidInput(
                f"{len(rows)} rows; a request has from 1 to {self.config.max_rows}.",
                field="rows",
                next_step="Send fewer, or use: assay tabular batch.",
            )


def entity_of(predictor: Predictor, row: Row) -> str:
    """The row's own id, by the table's spec; empty where it was not sent."""
    value = row.get(predictor.model.spec.id) if predictor.model.spec.id else None
    return "" if value is None else str(value)[:200]


def _without_label(predictor: Predictor, row: Row) -> dict[str, Any]:
    spec = predictor.model.spec
    return {name: value for name, value in row.items() if name not in (spec.target, spec.known_at)}


def _utc(at: datetime | None) -> datetime:
    at = at or datetime.now(UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
