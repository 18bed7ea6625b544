"""From a checked table to a trained model: divide, search, fit, calibrate, set the threshold, choose, measure once. Stores and registers nothing.

rows = prepare(loaded, frame)                                  # frame as data.tabular.contract.checked gives it
candidates = [train_candidate(rows, model, options) for model in rows.config.models]
trained = finish(rows, best(rows, candidates), candidates, findings_of(rows), options)
trained.model.scores(frame)

Held-out rows are scored once, by `finish`. Everything chosen before (rounds, parameters, calibration, threshold, which model)
rests on the folds, where each row is scored by models that did not see it.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from data.tabular.calibration import Calibration
from data.tabular.features import FeatureTransformer
from data.tabular.model import Costs, Measured, TabularModel
from data.tabular.table_spec import TableSpec
from finetune.tabular.calibration import fit_calibration
from finetune.tabular.config import Loaded, ModelConfig
from finetune.tabular.findings import Finding, after_training, before_training, of_left_out
from finetune.tabular.folds import FoldParts, Rows, fold_parts, goodness, metric_value
from finetune.tabular.models import Fitted, Settings, fit, full_params
from finetune.tabular.provenance import code_revision, data_sha256, versions
from finetune.tabular.search import SearchResult, Task, search
from finetune.tabular.splits import split_rows
from finetune.tabular.threshold import choose_threshold

Log = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """Labels and calibrated scores of rows that the model never saw, with what `evaluate` needs to measure them."""

    labels: np.ndarray
    scores: np.ndarray
    threshold: float
    costs: Costs
    clusters: np.ndarray | None
    """Groups, whose rows are resampled together; None in a table without them."""


Evaluate = Callable[[Outcome], Mapping[str, Measured]]
"""Metrics with intervals: `evals.tabular.metrics.measure`, passed in by the app."""


@dataclass(frozen=True)
class Options:
    """What the app brings."""

    evaluate: Evaluate
    storage: str
    """Where searches are kept when the config names no place."""
    log: Log = lambda told: None


@dataclass(frozen=True)
class Candidate:
    """A model as the folds know it."""

    config: ModelConfig
    params: Mapping[str, Any]
    """All that its library is given."""
    raw: np.ndarray
    """float64, of `rows.scored`: each score from a model that did not see the row."""
    scores: np.ndarray
    """The same, calibrated."""
    calibration: Calibration
    threshold: float
    n_rounds: int
    values: Mapping[str, float]
    """Of the folds together: pr_auc, roc_auc, log_loss, brier."""
    curve: tuple[tuple[float, float], ...]
    """xgboost: log loss of fitted and scored rows by round, the mean of the folds."""
    search: SearchResult | None
    seconds: float


@dataclass(frozen=True)
class Trained:
    model: TabularModel
    outcome: Outcome
    candidate: Candidate
    candidates: tuple[Candidate, ...]
    rows: Rows
    findings: tuple[Finding, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)


def prepare(loaded: Loaded, frame: pd.DataFrame) -> Rows:
    """Divide a checked table. Raises: InvalidInput where a part would have too few rows of a class."""
    return Rows(frame, loaded.spec, loaded.config, split_rows(frame, loaded.spec, loaded.config.split))


def findings_of(rows: Rows) -> list[Finding]:
    """What looks wrong before anything is trained."""
    split, model = rows.split, rows.config.models[0]
    features = FeatureTransformer.fit(rows.frame.iloc[split.development], rows.spec, model.features)
    fitted = rows.part(features, split.development, weighted=False)
    held = rows.part(features, split.test, weighted=False)
    found = before_training(features, fitted.matrix, fitted.labels, held.matrix, held.labels, rows.spec)
    return [*found, *of_left_out(split.left_out, len(rows.frame))]


def train_candidate(rows: Rows, model: ModelConfig, options: Options) -> Candidate:
    """Search (where asked), score each fold by models of the others, calibrate, set the threshold."""
    begun = time.monotonic()
    config = rows.config
    folds = fold_parts(rows, model.features)
    found = None
    if config.search.trials:
        task = Task(
            model=model,
            folds=folds,
            metric=config.target_metric,
            settings=_settings(rows),
            name=config.name,
            data_sha256=data_sha256(rows.frame, rows.spec),
        )
        found = search(task, config.search, options.storage, options.log)
    chosen = found.params if found else {}
    fitted = _side_by_side(model, chosen, folds, rows)
    raw = np.concatenate(
        [one.estimator.raw_scores(fold.scored.matrix) for one, fold in zip(fitted, folds, strict=True)]
    )
    labels = rows.labels[rows.scored]
    calibration = fit_calibration(raw, labels, config.calibration)
    scores = calibration.apply(raw)
    threshold = choose_threshold(scores, labels, config.threshold)
    values = {name: metric_value(name, labels, scores) for name in ("pr_auc", "roc_auc", "log_loss", "brier")}
    options.log(f"{model.kind} in the folds: " + ", ".join(f"{name} {value:.4f}" for name, value in values.items()))
    return Candidate(
        config=model,
        params=full_params(model, chosen),
        raw=raw,
        scores=scores,
        calibration=calibration,
        threshold=threshold,
        n_rounds=_rounds(rows, folds, fitted),
        values=values,
        curve=_mean_curve([one.curve for one in fitted]),
        search=found,
        seconds=time.monotonic() - begun,
    )


def best(rows: Rows, candidates: Sequence[Candidate]) -> Candidate:
    """By the target metric in the folds."""
    metric = rows.config.target_metric
    return max(candidates, key=lambda one: goodness(metric, one.values[metric]))


def finish(
    rows: Rows, chosen: Candidate, candidates: Sequence[Candidate], findings: Sequence[Finding], options: Options
) -> Trained:
    """Fit the chosen model on all development rows and measure it on the held-out ones, once."""
    config, split = rows.config, rows.split
    features = FeatureTransformer.fit(rows.frame.iloc[split.development], rows.spec, chosen.config.features)
    part = rows.part(features, split.development, weighted=True)
    fitted = fit(chosen.config, chosen.params, part, _settings(rows, threads=_threads(rows)), n_rounds=chosen.n_rounds)
    held = rows.frame.iloc[split.test]
    scores = chosen.calibration.apply(fitted.estimator.raw_scores(features.transform(held)))
    costs = Costs(config.threshold.false_positive, config.threshold.false_negative)
    outcome = Outcome(rows.labels[split.test], scores, chosen.threshold, costs, _clusters(held, rows.spec))
    baseline = dict(options.evaluate(outcome))
    model = TabularModel(
        name=config.name,
        version="",
        spec=rows.spec,
        features=features,
        estimator=fitted.estimator,
        calibration=chosen.calibration,
        threshold=chosen.threshold,
        costs=costs,
        baseline=baseline,
        reference=_reference(held, rows),
        provenance=_provenance(rows, chosen, findings),
    )
    after = after_training({name: one.value for name, one in baseline.items()})
    return Trained(model, outcome, chosen, tuple(candidates), rows, (*findings, *after))


def _settings(rows: Rows, *, threads: int = 1) -> Settings:
    return Settings(seed=rows.config.seed, threads=threads)


def _threads(rows: Rows) -> int:
    return rows.config.threads or os.cpu_count() or 1


def _side_by_side(
    model: ModelConfig, params: Mapping[str, Any], folds: Sequence[FoldParts], rows: Rows
) -> list[Fitted]:
    """One fold per thread: two threads in one fit wait for each other more than they work on small tables."""
    settings = _settings(rows, threads=max(1, _threads(rows) // len(folds)))
    with ThreadPoolExecutor(min(_threads(rows), len(folds))) as pool:
        return list(pool.map(lambda fold: fit(model, params, fold.fitted, settings, scored=fold.scored), folds))


def _rounds(rows: Rows, folds: Sequence[FoldParts], fitted: Sequence[Fitted]) -> int:
    """The folds' median, more by the share of rows that each fold could not be fitted on."""
    if not fitted[0].n_rounds:
        return 0
    share = np.mean([len(fold.fitted.labels) for fold in folds]) / len(rows.split.development)
    return max(1, round(float(np.median([one.n_rounds for one in fitted])) / float(share) ** 0.5))


def _mean_curve(curves: Sequence[tuple[tuple[float, float], ...]]) -> tuple[tuple[float, float], ...]:
    shortest = min(map(len, curves))
    if not shortest:
        return ()
    together = np.mean([np.array(curve[:shortest]) for curve in curves], axis=0)
    return tuple((float(fitted), float(scored)) for fitted, scored in together)


def _clusters(held: pd.DataFrame, spec: TableSpec) -> np.ndarray | None:
    """The group of each row, int [n]; rows without one are alone."""
    if not spec.group:
        return None
    codes = pd.factorize(held[spec.group])[0]
    missing = np.flatnonzero(codes < 0)
    codes[missing] = codes.max(initial=-1) + 1 + np.arange(len(missing))
    return codes


def _reference(held: pd.DataFrame, rows: Rows) -> pd.DataFrame:
    """A sample of the held-out rows in their order, without ids; groups, which may be persons, are numbered anew."""
    n = min(rows.config.reference_rows, len(held))
    where = np.sort(np.random.default_rng(rows.config.seed).choice(len(held), n, replace=False))
    frame = held.iloc[where].drop(columns=[rows.spec.id] if rows.spec.id else []).reset_index(drop=True)
    if rows.spec.group:
        numbers = pd.Series(_clusters(frame, rows.spec), index=frame.index)
        is_number = rows.spec.columns[rows.spec.group].kind in ("integer", "number")
        frame[rows.spec.group] = numbers if is_number else numbers.astype(str).astype("category")
    return frame


def _provenance(rows: Rows, chosen: Candidate, findings: Sequence[Finding]) -> dict[str, Any]:
    split = rows.split
    return {
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "data_sha256": data_sha256(rows.frame, rows.spec),
        "code": code_revision(),
        "versions": versions(),
        "config": rows.config.model_dump(mode="json", exclude_defaults=True),
        "params": dict(chosen.params),
        "n_rounds": chosen.n_rounds,
        "rows": {"all": len(rows.frame), "training": len(split.development), "held_out": len(split.test)},
        "positives": {
            "training": int(rows.labels[split.development].sum()),
            "held_out": int(rows.labels[split.test].sum()),
        },
        "left_out": dict(split.left_out),
        "folds": {name: round(value, 6) for name, value in chosen.values.items()},
        "findings": [asdict(one) for one in findings],
    }
