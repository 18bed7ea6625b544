"""Optuna's search for a model's parameters over the folds: pruned, resumable, parallel; an interrupted search goes on as if it never stopped.

With one worker the n-th trial depends on the seed and on the trials before it alone: each draws from a sampler seeded by its place.
"""

import hashlib
import json
import logging
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from data.errors import InfrastructureError, InvalidInput
from finetune.tabular.config import ModelConfig, Range, SearchConfig
from finetune.tabular.folds import FoldParts, goodness, metric_value
from finetune.tabular.models import Params, Settings, fit, full_params

Space = dict[str, Range | list[float | int | str | bool]]
SPACES: dict[str, Space] = {
    "logistic_regression": {"C": Range(low=1e-3, high=1e2, log=True)},
    "random_forest": {
        "max_features": Range(low=0.05, high=0.6),
        "min_samples_leaf": Range(low=1, high=40, log=True, whole=True),
        "max_depth": Range(low=4, high=30, log=True, whole=True),
    },
    "xgboost": {
        "eta": Range(low=0.02, high=0.2, log=True),
        "max_depth": Range(low=2, high=9, whole=True),
        "min_child_weight": Range(low=0.5, high=30, log=True),
        "subsample": Range(low=0.5, high=1.0),
        "colsample_bytree": Range(low=0.3, high=1.0),
        "lambda": Range(low=0.1, high=50, log=True),
        "alpha": Range(low=1e-3, high=10, log=True),
        "gamma": Range(low=1e-3, high=5, log=True),
    },
}
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
STARTUP_TRIALS = 8
OWN = "own"
"""Marks the trial of the config's own parameters, and says which of them the space has."""


@dataclass(frozen=True)
class TrialResult:
    number: int
    state: str
    value: float | None
    """The mean metric of the folds that were fitted."""
    params: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class SearchResult:
    params: dict[str, Any]
    """The best, or the config's own where no trial is clearly better; only those that the space names."""
    value: float
    trials: tuple[TrialResult, ...]
    study: str


@dataclass(frozen=True)
class Task:
    """What is searched: a model over folds, by a metric."""

    model: ModelConfig
    folds: Sequence[FoldParts]
    metric: Any
    settings: Settings
    name: str
    data_sha256: str


def search(task: Task, config: SearchConfig, default_storage: str, log: Callable[[str], None]) -> SearchResult:
    """Run what is left of `config.trials`. Raises: InvalidInput; InfrastructureError where the storage does not answer."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    space: Space = config.space.get(task.model.kind) or SPACES[task.model.kind]
    url, name = config.storage or default_storage, config.study or study_name(task, space)
    storage = _storage(url)
    study = _study(name, storage, config)
    if not study.get_trials(deepcopy=False):
        own = full_params(task.model, {})
        study.enqueue_trial(_within(own, space), user_attrs={OWN: {name: own[name] for name in space if name in own}})
    asking = _Asking(study, config)

    def work() -> None:
        while (trial := asking.next()) is not None:
            _run(study, trial, lambda one: _objective(one, task, space, log))

    with ThreadPoolExecutor(config.workers) as pool:
        for future in [pool.submit(work) for _ in range(config.workers)]:
            future.result()
    return _result(study, task)


class _Asking:
    """Hands out trials one after another, each from a sampler seeded by its place.

    Trials that were running when we came count for nothing: they are of a process that was killed, or of one beside us that
    will tell them itself.
    """

    def __init__(self, study: optuna.Study, config: SearchConfig) -> None:
        self._study, self._config = study, config
        self._foreign = {trial.number for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))}
        self._begun = monotonic()
        self._lock = Lock()

    def next(self) -> Trial | None:
        """None where enough were handed out, or time is up."""
        with self._lock:
            trials = self._study.get_trials(deepcopy=False)
            n_running = sum(t.state == TrialState.RUNNING and t.number not in self._foreign for t in trials)
            place = n_running + sum(trial.state in FINISHED for trial in trials)
            timeout_s = self._config.timeout_s
            is_late = timeout_s is not None and monotonic() - self._begun > timeout_s
            if place >= self._config.trials or (is_late and place):
                return None
            self._study.sampler = _sampler(self._config, place)
            return self._study.ask()


def _run(study: optuna.Study, trial: Trial, objective: Callable[[Trial], float]) -> None:
    """Two processes that begin together may be handed the same first trial: who is second tells nothing."""
    try:
        value = objective(trial)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except BaseException:
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        raise
    else:
        study.tell(trial, value, skip_if_finished=True)


def study_name(task: Task, space: Space) -> str:
    """Equal runs on equal data share a study; anything else that changes a trial's value begins another."""
    told = {
        "model": task.model.model_dump(mode="json", exclude={"bags"}),
        "metric": task.metric,
        "data": task.data_sha256,
        "space": {key: one.model_dump() if isinstance(one, Range) else one for key, one in space.items()},
        "folds": [[len(fold.fitted.labels), len(fold.scored.labels)] for fold in task.folds],
        "weights": [hashlib.sha256(fold.fitted.weights.tobytes()).hexdigest() for fold in task.folds],
        "seed": task.settings.seed,
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return f"{task.name}/{task.model.kind}/{digest[:12]}"


def _storage(url: str) -> RDBStorage:
    is_sqlite = url.startswith("sqlite:///")
    if is_sqlite:
        Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    try:
        return RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 60}} if is_sqlite else {})
    except Exception as error:  # SQLAlchemy's and the driver's own, whichever database it is
        raise InfrastructureError(
            f"Optuna's storage does not open: {str(error).splitlines()[0]}",
            next_step="Mend search.storage, or leave it empty for SQLite under var/.",
        ) from error


def _study(name: str, storage: RDBStorage, config: SearchConfig) -> optuna.Study:
    pruner: BasePruner = MedianPruner(n_startup_trials=STARTUP_TRIALS) if config.prune else NopPruner()
    return optuna.create_study(
        storage=storage, study_name=name, direction="maximize", load_if_exists=True, pruner=pruner
    )


def _sampler(config: SearchConfig, n_done: int) -> TPESampler:
    return TPESampler(
        seed=config.seed * 100_003 + n_done,
        n_startup_trials=STARTUP_TRIALS,
        multivariate=True,
        constant_liar=config.workers > 1,
    )


def _objective(trial: Trial, task: Task, space: Space, log: Callable[[str], None]) -> float:
    drawn = {name: _suggested(trial, name, one) for name, one in space.items()}
    params = {} if OWN in trial.user_attrs else drawn
    single = task.model.model_copy(
        update={"bags": 1}
    )  # bags calm the final model; the search would pay for them at every trial
    values = []
    for at, fold in enumerate(task.folds):
        fitted = fit(single, params, fold.fitted, task.settings, scored=fold.scored)
        scores = fitted.estimator.raw_scores(fold.scored.matrix)
        values.append(goodness(task.metric, metric_value(task.metric, fold.scored.labels, scores)))
        trial.report(float(np.mean(values)), at)
        if at + 1 < len(task.folds) and trial.should_prune():
            log(f"trial {trial.number} of {task.model.kind} ends after {at + 1} folds: {abs(np.mean(values)):.4f}")
            raise optuna.TrialPruned
    log(f"trial {trial.number} of {task.model.kind}: {task.metric} {abs(np.mean(values)):.4f}")
    return float(np.mean(values))


def _suggested(trial: Trial, name: str, one: Range | list[Any]) -> Any:
    if isinstance(one, list):
        return trial.suggest_categorical(name, one)
    if one.whole:
        return trial.suggest_int(name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(name, one.low, one.high, log=one.log)


def _within(params: Params, space: Space) -> dict[str, Any]:
    """What the sampler learns of the run's own parameters: each where the space has it, or the nearest number that it has."""
    kept = {}
    for name, one in space.items():
        value = params.get(name)
        if isinstance(one, list):
            if value in one:
                kept[name] = value
        elif isinstance(value, int | float):
            kept[name] = min(max(value, one.low), one.high)
    return kept


def _result(study: optuna.Study, task: Task) -> SearchResult:
    trials = study.get_trials(deepcopy=False, states=FINISHED)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        raise InvalidInput(
            f"No trial of {study.study_name} ended.", field="search", next_step="Give search.timeout_s more time."
        )
    best = max(complete, key=lambda trial: trial.value or float("-inf"))
    own = next((trial for trial in complete if OWN in trial.user_attrs), None)
    kept = best if own is None or _is_clearly_better(best, own) else own
    return SearchResult(_params(kept), abs(kept.value or 0.0), tuple(map(_told, trials)), study.study_name)


def _params(trial: FrozenTrial) -> dict[str, Any]:
    return dict(trial.user_attrs.get(OWN, trial.params))


def _is_clearly_better(best: FrozenTrial, own: FrozenTrial) -> bool:
    """By more than the standard error, over the folds, of their difference: the one-standard-error rule (Breiman et al. 1984, 3.4.3;
    Hastie et al. 2009, 7.10), by pairs. The luckiest of many trials is not the best."""
    gains = _fold_values(best) - _fold_values(own)
    return len(gains) < 2 or float(gains.mean()) > float(gains.std(ddof=1)) / len(gains) ** 0.5


def _fold_values(trial: FrozenTrial) -> np.ndarray:
    """What each fold gave; a trial reports the mean of those so far."""
    means = np.array([mean for _, mean in sorted(trial.intermediate_values.items())])
    sums = means * np.arange(1, len(means) + 1)
    return np.diff(sums, prepend=0.0)


def _told(trial: FrozenTrial) -> TrialResult:
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    value = None if trial.value is None else abs(trial.value)
    return TrialResult(trial.number, trial.state.name.lower(), value, _params(trial), seconds)
