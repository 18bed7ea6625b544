"""The three kinds of classifier, each fitted from features, labels and weights. Slow to import; knows neither tables nor splits.

fitted = fit(ModelConfig(kind="xgboost"), {"max_depth": 4}, part, settings, scored=held)      # early stopping on `scored`
fitted.estimator.raw_scores(matrix)
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np
import xgboost
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import InvalidParameterError

from data.errors import InvalidInput
from data.tabular.estimators.boosted import BoostedEstimator
from data.tabular.estimators.forest import ForestEstimator
from data.tabular.estimators.linear import LinearEstimator
from data.tabular.model import Estimator
from finetune.tabular.bagging import merged
from finetune.tabular.config import ModelConfig

Params = Mapping[str, float | int | str | bool]

DEFAULTS: dict[str, dict[str, Any]] = {
    "logistic_regression": {"C": 1.0, "max_iter": 1000},
    "random_forest": {"n_estimators": 300, "max_features": "sqrt", "min_samples_leaf": 3},
    "xgboost": {
        "eta": 0.05,
        "max_depth": 5,
        "min_child_weight": 1.0,
        "subsample": 0.8,
        "colsample_bytree": 0.8,
        "lambda": 1.0,
        "alpha": 0.0,
        "gamma": 0.0,
    },
}
ALIASES = {"learning_rate": "eta", "min_split_loss": "gamma", "reg_lambda": "lambda", "reg_alpha": "alpha"}
"""XGBoost's second names: given beside the first one, either could win."""
FIXED = {
    "logistic_regression": ("random_state",),
    "random_forest": ("random_state", "n_jobs", "oob_score", "warm_start"),
    "xgboost": ("objective", "eval_metric", "seed", "nthread", "num_class", "booster", "device"),
}
"""Parameters that the run sets itself."""
XGBOOST_KNOWS = frozenset(
    [
        "eta",
        "learning_rate",
        "gamma",
        "min_split_loss",
        "max_depth",
        "min_child_weight",
        "max_delta_step",
        "subsample",
        "sampling_method",
        "colsample_bytree",
        "colsample_bylevel",
        "colsample_bynode",
        "lambda",
        "reg_lambda",
        "alpha",
        "reg_alpha",
        "tree_method",
        "scale_pos_weight",
        "grow_policy",
        "max_leaves",
        "max_bin",
        "num_parallel_tree",
        "monotone_constraints",
        "interaction_constraints",
        "max_cat_to_onehot",
        "max_cat_threshold",
        "base_score",
        "updater",
        "refresh_leaf",
        "process_type",
    ]
)
"""xgboost itself only warns of others."""


@dataclass(frozen=True)
class Part:
    """Rows as a classifier sees them."""

    matrix: np.ndarray
    """float32 [n, n_features]."""
    labels: np.ndarray
    """int8 [n]."""
    weights: np.ndarray
    """float64 [n], of mean 1."""
    feature_names: tuple[str, ...]
    feature_types: tuple[str, ...]

    def rows(self, where: np.ndarray) -> "Part":
        return replace(self, matrix=self.matrix[where], labels=self.labels[where], weights=self.weights[where])


@dataclass(frozen=True)
class Settings:
    """What is the same for every fit of a run."""

    seed: int = 0
    threads: int = 1


@dataclass(frozen=True)
class Fitted:
    estimator: Estimator
    n_rounds: int = 0
    """xgboost: rounds kept."""
    curve: tuple[tuple[float, float], ...] = ()
    """xgboost: log loss on fitted and scored rows after each round."""


def full_params(model: ModelConfig, params: Params) -> dict[str, Any]:
    """Defaults, then the config's, then these. Raises: InvalidInput for what the run sets itself."""
    own, chosen = (_first_names(model.kind, one) for one in (model.params, params))
    given = DEFAULTS[model.kind] | own | chosen
    if taken := [name for name in given if name in FIXED[model.kind]]:
        raise InvalidInput(
            f"models.params: {', '.join(taken)} is set by the run itself.",
            field="params",
            next_step="Remove it; `seed` and `threads` stand at the top of the config.",
        )
    return given


def _first_names(kind: str, params: Params) -> dict[str, Any]:
    return {ALIASES.get(name, name) if kind == "xgboost" else name: value for name, value in params.items()}


def fit(
    model: ModelConfig, params: Params, part: Part, settings: Settings, *, scored: Part | None = None, n_rounds: int = 0
) -> Fitted:
    """Fit one classifier; xgboost stops early by `scored`, or grows `n_rounds`. Raises: InvalidInput naming the parameter."""
    given = full_params(model, params)
    if model.kind == "xgboost":
        each = replace(settings, threads=max(1, settings.threads // model.bags))
        seeds = [settings.seed + 1009 * at for at in range(model.bags)]
        with ThreadPoolExecutor(
            min(settings.threads, model.bags)
        ) as pool:  # side by side: threads in one fit wait for each other
            bags = list(
                pool.map(lambda seed: _boosted(model, given, part, replace(each, seed=seed), scored, n_rounds), seeds)
            )
        return bags[0] if len(bags) == 1 else _together(bags)
    if model.kind == "random_forest":
        forest = _made(RandomForestClassifier, given | {"random_state": settings.seed, "n_jobs": settings.threads})
        return Fitted(ForestEstimator(_learned(forest, part.matrix, part)))
    linear = _learned(_made(LogisticRegression, given | {"random_state": settings.seed}), _wide(part), part)
    return Fitted(LinearEstimator(linear.coef_[0], float(linear.intercept_[0])))


def _boosted(
    model: ModelConfig, params: dict[str, Any], part: Part, settings: Settings, scored: Part | None, n_rounds: int
) -> Fitted:
    if unknown := [name for name in params if name not in XGBOOST_KNOWS]:
        near = get_close_matches(unknown[0], XGBOOST_KNOWS, n=1)
        raise InvalidInput(
            f"xgboost refuses the parameter {unknown[0]!r}: it has none of that name.",
            field="params",
            next_step=f"Write {near[0]}." if near else "Remove it.",
        )
    fixed = {"objective": "binary:logistic", "eval_metric": "logloss", "verbosity": 1}
    fixed |= {"seed": settings.seed, "nthread": settings.threads, "tree_method": "hist"}
    if model.monotone:
        fixed["monotone_constraints"] = _constraints(model, part.feature_names)
    seen: dict[str, Any] = {}
    watched = [(_matrix(part), "fitted")] + ([(_matrix(scored), "scored")] if scored else [])
    stops = bool(scored and model.early_stopping)
    try:
        booster = xgboost.train(
            fixed | params,
            watched[0][0],
            n_rounds or model.max_rounds,
            evals=watched if scored else [],
            evals_result=seen,
            early_stopping_rounds=model.early_stopping if stops else None,
            verbose_eval=False,
        )
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise InvalidInput(
            f"xgboost refuses the parameters {params}: {str(error).splitlines()[0]}", field="params"
        ) from error
    curve = tuple(zip(seen["fitted"]["logloss"], seen["scored"]["logloss"], strict=True)) if scored else ()
    kept = booster.best_iteration + 1 if stops else booster.num_boosted_rounds()
    return Fitted(BoostedEstimator(booster[:kept] if stops else booster), kept, curve)


def _constraints(model: ModelConfig, feature_names: tuple[str, ...]) -> tuple[int, ...]:
    if unknown := [column for column in model.monotone if column not in feature_names]:
        near = get_close_matches(unknown[0], feature_names, n=1)
        raise InvalidInput(
            f"models.monotone: {unknown[0]} is no number among the features.",
            field="monotone",
            next_step=f"Write {near[0]}." if near else "Name a number or integer column, or remove it.",
        )
    return tuple({"up": 1, "down": -1}.get(model.monotone.get(name, ""), 0) for name in feature_names)


def _together(bags: list[Fitted]) -> Fitted:
    """Rounds and curve are means: what a single booster would have to grow."""
    shortest = min(len(one.curve) for one in bags)
    curve = np.mean([np.array(one.curve[:shortest]) for one in bags], axis=0) if shortest else []
    estimator = BoostedEstimator(merged([one.estimator.native for one in bags]))
    n_rounds = round(float(np.mean([one.n_rounds for one in bags])))
    return Fitted(estimator, n_rounds, tuple((float(fitted), float(scored)) for fitted, scored in curve))


def _matrix(part: Part) -> xgboost.DMatrix:
    return xgboost.DMatrix(
        part.matrix,
        part.labels,
        weight=part.weights,
        feature_types=list(part.feature_types),
        enable_categorical="c" in part.feature_types,
    )


def _made(kind: Any, params: dict[str, Any]) -> Any:
    try:
        return kind(**params)
    except TypeError as error:
        raise InvalidInput(f"{kind.__name__} refuses its parameters: {error}", field="params") from error


def _learned(model: Any, matrix: np.ndarray, part: Part) -> Any:
    try:
        return model.fit(matrix, part.labels, sample_weight=part.weights)
    except InvalidParameterError as error:
        raise InvalidInput(f"{type(model).__name__} refuses its parameters: {error}", field="params") from error


def _wide(part: Part) -> np.ndarray:
    return part.matrix.astype(np.float64)
