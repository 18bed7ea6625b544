"""Who trains, who calibrates, who is held out: at random, by group or by time, without rows nobody could have had. Trains nothing.

split = split_rows(frame, spec, SplitConfig(by="time"))
split.test                        # held out: seen once, at the end
split.folds                       # (rows to fit, rows to score) among the others
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.errors import InvalidInput
from data.tabular.table import target_of
from data.tabular.table_spec import TableSpec
from finetune.tabular.config import SplitConfig

FEWEST = 5
"""Positives and negatives that the held-out part and each fold must have."""
Fold = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Split:
    """Places of rows in the frame, rising."""

    development: np.ndarray
    """Rows the final model is fitted on."""
    test: np.ndarray
    folds: tuple[Fold, ...]
    """Each (rows to fit, rows to score), both among `development`."""
    left_out: dict[str, int]
    """Rows in no part, by reason."""


def split_rows(frame: pd.DataFrame, spec: TableSpec, config: SplitConfig) -> Split:
    """Divide a settled frame. Raises: InvalidInput where a part would have too few rows of a class."""
    known = np.flatnonzero(frame[spec.target].notna().to_numpy())
    labels = np.zeros(len(frame), dtype=np.int8)
    labels[known] = target_of(frame.iloc[known], spec)
    left_out = {"without a label": len(frame) - len(known)}
    groups = _codes(frame[spec.group]) if spec.group else None
    if config.by == "time":
        development, test, folds = _by_time(frame, spec, config, known, left_out)
        folds = tuple((rows, part) for rows, part in folds if _fewest(labels[rows]) >= FEWEST)
    else:
        if config.by == "random":
            groups = None
        parts = _parts(known, labels, groups, _sizes(config), config.seed)
        test, others = parts[0], parts[1:]
        development = np.sort(np.concatenate(others))
        folds = tuple((np.setdiff1d(development, part), part) for part in others)
    if not folds:
        raise InvalidInput(
            f"{spec.name} has too few moments before the held-out part to make folds of.",
            field="split",
            next_step="Set split.by=random, or hold out less (split.test).",
        )
    for name, rows in (("held-out part", test), *((f"fold {at}", part) for at, (_, part) in enumerate(folds))):
        _check(name, labels[rows], spec)
    for at, (rows, _) in enumerate(folds):
        _check(f"part that fold {at} is fitted on", labels[rows], spec)
    return Split(development, test, folds, {why: n for why, n in left_out.items() if n})


def _sizes(config: SplitConfig) -> list[float]:
    return [config.test, *[(1 - config.test) / config.folds] * config.folds]


def _parts(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, shares: Sequence[float], seed: int
) -> list[np.ndarray]:
    """Rows in parts of the given shares; classes in equal shares, whole groups in one part.

    Groups go one after another, the largest first, to the part that is then nearest to its share of both classes (as
    scikit-learn's StratifiedGroupKFold, for parts of unequal size). A row without a group is a group of its own.
    """
    rng = np.random.default_rng(seed)
    of_row = np.arange(len(rows)) if groups is None else _alone(groups[rows])
    _, inverse = np.unique(of_row, return_inverse=True)
    n_positive = np.bincount(inverse, labels[rows])
    n_all = np.bincount(inverse)
    counts = np.stack([n_all - n_positive, n_positive], axis=1)
    if groups is None:
        where = _dealt(labels[rows], shares, rng)
        return [np.sort(rows[where == part]) for part in range(len(shares))]
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].max(axis=1), kind="stable")]
    total = counts.sum(axis=0)
    wanted = np.outer(shares, total).astype(np.float64)
    missing = wanted.copy()
    part_of = np.empty(len(counts), dtype=np.int64)
    for group in order:
        worse = (((missing - counts[group]) ** 2 - missing**2) / np.maximum(wanted * total, 1)).sum(axis=1)
        part_of[group] = part = int(np.argmin(worse))
        missing[part] -= counts[group]
    where = part_of[inverse]
    return [np.sort(rows[where == part]) for part in range(len(shares))]


def _dealt(labels: np.ndarray, shares: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """The part of each row, int [n]: each class shuffled, then cut by the shares."""
    where = np.empty(len(labels), dtype=np.int64)
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.round(np.cumsum(shares)[:-1] * len(rows)).astype(int)
        for part, dealt in enumerate(np.split(rows, cuts)):
            where[dealt] = part
    return where


def _by_time(
    frame: pd.DataFrame, spec: TableSpec, config: SplitConfig, known: np.ndarray, left_out: dict[str, int]
) -> tuple[np.ndarray, np.ndarray, tuple[Fold, ...]]:
    moments = frame[spec.time].to_numpy()
    dated = known[~pd.isna(moments[known])]
    left_out["without a time"] = len(known) - len(dated)
    begins = _cut(moments[dated], 1 - config.test)
    test = dated[moments[dated] >= begins]
    before = dated[moments[dated] < begins]
    development = _usable(frame, spec, config, before, test, begins, left_out)
    if not len(development):
        raise InvalidInput(
            f"No row's label was known when the held-out part begins ({begins}).",
            field="split",
            next_step="Hold out less (split.test), or set split.label_known=false.",
        )
    inner = np.sort(moments[development])
    cuts = [_cut(inner, at / (config.folds)) for at in range(1, config.folds)]
    folds = []
    for at, start in enumerate(cuts):
        end = cuts[at + 1] if at + 1 < len(cuts) else None
        later = moments[development] >= start
        scored = development[later & (moments[development] < end)] if end is not None else development[later]
        fitted = _usable(frame, spec, config, development[~later], scored, start, {})
        if len(scored) and len(fitted):
            folds.append((fitted, scored))
    return development, test, tuple(folds)


def _cut(moments: np.ndarray, share: float):
    """The moment at which `share` of the rows lie before; rows of one moment never part."""
    return np.sort(moments)[min(int(np.ceil(share * len(moments))), len(moments) - 1)]


def _usable(
    frame: pd.DataFrame,
    spec: TableSpec,
    config: SplitConfig,
    before: np.ndarray,
    after: np.ndarray,
    begins,
    left_out: dict[str, int],
) -> np.ndarray:
    """Of the earlier rows those whose label was known at `begins`, and whose group does not come again."""
    keep = np.ones(len(before), dtype=bool)
    is_dated = spec.columns[spec.time].kind == "date"
    if config.label_known and is_dated and spec.known_at:
        keep &= (frame[spec.known_at].iloc[before] <= begins).to_numpy()
    elif config.label_known and is_dated and spec.label_delay_days:
        delay = np.timedelta64(int(spec.label_delay_days * 86_400), "s")
        keep &= frame[spec.time].iloc[before].to_numpy() + delay <= begins
    left_out["label not yet known"] = int((~keep).sum())
    if spec.group and config.groups == "apart":
        later = frame[spec.group].iloc[after].dropna().unique()
        again = frame[spec.group].iloc[before].isin(later).to_numpy()
        left_out["group comes again in the held-out part"] = int((keep & again).sum())
        keep &= ~again
    return before[keep]


def _codes(groups: pd.Series) -> np.ndarray:
    return pd.factorize(groups)[0]


def _alone(codes: np.ndarray) -> np.ndarray:
    """Missing groups (-1) each become one of their own."""
    missing = np.flatnonzero(codes < 0)
    codes = codes.copy()
    codes[missing] = codes.max(initial=-1) + 1 + np.arange(len(missing))
    return codes


def _check(name: str, labels: np.ndarray, spec: TableSpec) -> None:
    n_positive = int(labels.sum())
    if _fewest(labels) < FEWEST:
        raise InvalidInput(
            f"The {name} has {n_positive} positive and {len(labels) - n_positive} negative rows of {spec.name}; "
            f"at least {FEWEST} of each are needed.",
            field="split",
            next_step="Hold out more (split.test), make fewer folds (split.folds), or bring more rows.",
        )


def _fewest(labels: np.ndarray) -> int:
    """Rows of the rarer class."""
    n_positive = int(labels.sum())
    return min(n_positive, len(labels) - n_positive)
