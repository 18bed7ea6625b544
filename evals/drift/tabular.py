"""A window of a table against the reference: every column by its kind, holes, new values, volume, schema, scores, and all columns together.

baseline = TableBaseline(config, spec, reference)
values = baseline.compare(window)                 # MonitorValue of each monitor
baseline.harms(window)                            # what each column's shift is estimated to cost, in accuracy or AUC
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.tabular.table_spec import TableSpec
from evals.drift.budget import Allowance, allowance
from evals.drift.columns import (
    Binning,
    Counts,
    counted_numbers,
    cramers_v,
    jensen_shannon,
    kolmogorov_smirnov,
    number_binning,
    population_stability,
    shares,
    wasserstein,
    word_binning,
)
from evals.drift.config import TabularWatch
from evals.drift.embeddings import EmbeddingReference
from evals.drift.records import MonitorValue
from evals.drift.verdicts import judged, judged_share

LEAST = {"js": 0.1, "psi": 0.1, "ks": 0.1, "wasserstein": 0.1, "chi2": 0.1}
LEAST_SHARE = 0.02
MOST_CODED = 20_000
"""Rows of each side that are looked at together."""
MOST_VALUES = 12
"""Values of a category that get a column of their own there."""
OTHER = "\x00other"


@dataclass(frozen=True)
class Column:
    """A column of the reference: its bins, and what of it was missing."""

    name: str
    is_number: bool
    binning: Binning
    counts: Counts
    n_missing: int
    known: frozenset[str] = frozenset()
    """Every value that the reference has."""


class TableBaseline:
    """The reference rows, counted. `spec` says the kind of each column."""

    def __init__(self, config: TabularWatch, spec: TableSpec, reference: pd.DataFrame) -> None:
        self.config, self.spec, self.reference = config, spec, reference
        self.columns = tuple(_column(name, reference[name], spec) for name in self._watched)

    @cached_property
    def _watched(self) -> tuple[str, ...]:
        named = self.config.columns or self.spec.features
        extra = (self.config.score, self.spec.target)
        every = dict.fromkeys((*named, *(name for name in extra if name)))
        return tuple(
            n
            for n in every
            if n in self.reference and n not in self.config.ignore and self.spec.columns[n].kind != "date"
        )

    # -- monitors and their part of the budget

    @cached_property
    def monitors(self) -> tuple[str, ...]:
        found = [self._monitor(column) for column in self.columns]
        found += [f"missing.{column.name}" for column in self.columns if self.spec.columns[column.name].nullable]
        found += [f"new.{column.name}" for column in self.columns if not column.is_number]
        return (*found, "multivariate.classifier", "multivariate.reconstruction")

    @cached_property
    def allowance(self) -> Allowance:
        return allowance(self.config.budget.budget, n_monitors=len(self.monitors), window_days=self.config.window.days)

    def _monitor(self, column: Column) -> str:
        if column.name == self.config.score:
            return "prediction"
        return "target" if column.name == self.spec.target else f"column.{column.name}"

    # -- one window

    def compare(self, window: pd.DataFrame, at: datetime) -> list[MonitorValue]:
        alpha = self.allowance.alpha or 0.01
        out: list[MonitorValue] = [*self._schema(window, at), self._volume(window, at)]
        for column in self.columns:
            if column.name not in window:
                continue
            cells = window[column.name]
            if column.name == self.spec.target and cells.isna().all():
                continue  # labels are still to come
            counts, n_missing, n_new = counted(column, cells)
            out.append(self._moved(column, counts, at, alpha))
            if f"missing.{column.name}" in self.monitors:
                out.append(
                    self._share(
                        f"missing.{column.name}",
                        (column.n_missing, len(self.reference)),
                        (n_missing, len(cells)),
                        at,
                        alpha,
                    )
                )
            if f"new.{column.name}" in self.monitors:
                out.append(self._share(f"new.{column.name}", (0, len(self.reference)), (n_new, len(cells)), at, alpha))
        return out + self._together(window, at, alpha)

    def _moved(self, column: Column, counts: Counts, at: datetime, alpha: float) -> MonitorValue:
        monitor = self._monitor(column)
        if counts.sum() < self.config.min_rows:
            return MonitorValue(
                monitor=monitor,
                at=at,
                value=None,
                note=f"{int(counts.sum())} values; {self.config.min_rows} are needed",
            )
        effect = self.config.number_effect if column.is_number else self.config.word_effect
        effect = effect if column.is_number or effect not in ("ks", "wasserstein") else "js"
        least = self.config.least.get(monitor, LEAST[effect])
        verdict = judged(effect, column.binning, column.counts, counts, alpha=alpha, least=least)
        detail = {"effect": effect, **_all_effects(column, counts)}
        return _value(monitor, at, verdict, least, detail)

    def _share(
        self, monitor: str, ours: tuple[int, int], theirs: tuple[int, int], at: datetime, alpha: float
    ) -> MonitorValue:
        least = self.config.least.get(monitor, LEAST_SHARE)
        verdict = judged_share(ours, theirs, alpha=alpha, least=least)
        return _value(
            monitor,
            at,
            verdict,
            least,
            {"reference_share": ours[0] / max(ours[1], 1), "window_share": theirs[0] / max(theirs[1], 1)},
        )

    def _schema(self, window: pd.DataFrame, at: datetime) -> list[MonitorValue]:
        """Not a matter of chance, so it takes no part of the budget."""
        labels = {self.spec.target} if self.spec.target not in window else set()
        gone = [name for name in self._watched if name not in window and name not in labels]
        more = [str(name) for name in window if str(name) not in self.spec.columns]
        changed = float(len(gone) + len(more))
        return [
            MonitorValue(
                monitor="schema",
                at=at,
                value=changed,
                threshold=0.0,
                is_alarm=changed > 0,
                detail={"gone": gone, "unknown": more},
            )
        ]

    def _volume(self, window: pd.DataFrame, at: datetime) -> MonitorValue:
        """Rows of the window; alarms only where the config names a least number."""
        least = self.config.least.get("volume", 0.0)
        return MonitorValue(
            monitor="volume",
            at=at,
            value=float(len(window)),
            threshold=least or None,
            least=least,
            is_alarm=len(window) < least,
        )

    # -- all columns together

    def _together(self, window: pd.DataFrame, at: datetime, alpha: float) -> list[MonitorValue]:
        coder = self._coder
        if len(window) < self.config.min_rows:
            return []
        rows = coder(_some(window))
        told = []
        for name, matrix, effects in (("classifier", rows, self._coded), ("reconstruction", None, self._lost)):
            effect = (
                effects.classifier(matrix, alpha) if matrix is not None else effects.centroid(coder.lost(rows), alpha)
            )
            monitor = f"multivariate.{name}"
            least = self.config.least.get(monitor, effects.least["classifier" if matrix is not None else "centroid"])
            threshold = effect.threshold - effects.least["classifier" if matrix is not None else "centroid"] + least
            told.append(
                MonitorValue(
                    monitor=monitor,
                    at=at,
                    value=effect.value,
                    low=effect.low,
                    high=effect.high,
                    threshold=threshold,
                    least=least,
                    is_alarm=effect.value > threshold,
                    p_value=effect.p_value,
                )
            )
        return told

    def unlike(self, window: pd.DataFrame, most: int = 200) -> NDArray[np.int64]:
        """Places of the rows that are least like the reference's, by what its principal components leave over."""
        lost = self._coder.lost(self._coder(window))[:, 0]
        return np.argsort(-lost, kind="stable")[:most]

    @cached_property
    def _coder(self) -> "Coder":
        inputs = [column for column in self.columns if column.name not in (self.config.score, self.spec.target)]
        return Coder(inputs, _some(self.reference))

    @cached_property
    def _coded(self) -> EmbeddingReference:
        return EmbeddingReference(self._coder(_some(self.reference)))

    @cached_property
    def _lost(self) -> EmbeddingReference:
        """What the principal components leave over, as one number a row."""
        lost = EmbeddingReference(self._coder.lost(self._coder(_some(self.reference))))
        lost.least["centroid"] = 0.01
        return lost


class Coder:
    """Rows as float32 vectors: numbers as normal ranks of the reference, values of categories as 0 or 1, scaled alike."""

    def __init__(self, columns: Sequence[Column], reference: pd.DataFrame) -> None:
        self._columns = columns
        self._ranks = {
            c.name: np.sort(_numbers(reference[c.name])[~np.isnan(_numbers(reference[c.name]))])
            for c in columns
            if c.is_number
        }
        raw = self._raw(reference)
        self._mean, self._spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), 0.05)
        coded = self(reference)
        values, axes = np.linalg.eigh(np.cov(coded, rowvar=False))
        order = np.argsort(values)[::-1]
        share = np.cumsum(values[order]) / values.sum()
        self._axes = axes[:, order[: max(1, int(np.searchsorted(share, 0.65)) + 1)]].astype(np.float32)

    def __call__(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """[n, features]."""
        return (self._raw(frame) - self._mean) / self._spread

    def lost(self, coded: NDArray[np.float32]) -> NDArray[np.float32]:
        """[n, 1]: the length of what the components that hold 65 % of the variance leave over."""
        rest = coded - coded @ self._axes @ self._axes.T
        return np.linalg.norm(rest, axis=1, keepdims=True).astype(np.float32)

    def _raw(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        parts = [part for column in self._columns for part in self._parts(column, frame)]
        return np.stack(parts, axis=1).astype(np.float32) if parts else np.zeros((len(frame), 1), np.float32)

    def _parts(self, column: Column, frame: pd.DataFrame) -> list[NDArray]:
        if column.name not in frame:
            return [np.zeros(len(frame))] * (1 if column.is_number else min(len(column.binning.values), MOST_VALUES))
        if column.is_number:
            numbers, ordered = _numbers(frame[column.name]), self._ranks[column.name]
            rank = (
                (np.searchsorted(ordered, numbers, "left") + np.searchsorted(ordered, numbers, "right"))
                / 2
                / max(len(ordered), 1)
            )
            return [np.where(np.isnan(numbers), 0.0, rank - 0.5)]
        bins = _word_bins(column, frame[column.name])
        return [(bins == k).astype(np.float32) for k in range(min(len(column.binning.values), MOST_VALUES))]


def counted(column: Column, cells: pd.Series) -> tuple[Counts, int, int]:
    """The histogram of a window's column, how many cells are missing, and how many have a value that is new."""
    n_missing = int(cells.isna().sum())
    if column.is_number:
        return counted_numbers(_numbers(cells), column.binning), n_missing, 0
    found = cells.value_counts(dropna=True)
    counts = np.zeros(column.binning.n, np.int64)
    places = {value: k for k, value in enumerate(column.binning.values)}
    n_new = 0
    for value, n in found.items():
        counts[places.get(str(value), column.binning.n - 1)] += int(n)
        n_new += int(n) if str(value) not in column.known else 0
    return counts, n_missing, n_new


def bins_of(column: Column, cells: pd.Series) -> NDArray[np.int64]:
    """The bin of each cell; -1 for a missing one."""
    if column.is_number:
        numbers = _numbers(cells)
        return np.where(np.isnan(numbers), -1, np.searchsorted(column.binning.edges, numbers, "right"))
    return _word_bins(column, cells)


def _word_bins(column: Column, cells: pd.Series) -> NDArray[np.int64]:
    category = cells if isinstance(cells.dtype, pd.CategoricalDtype) else cells.astype("category")
    places = {value: k for k, value in enumerate(column.binning.values)}
    last = column.binning.n - 1
    codes = np.array([places.get(str(value), last) for value in category.cat.categories] + [-1])
    return codes[category.cat.codes.to_numpy()]


def _column(name: str, cells: pd.Series, spec: TableSpec) -> Column:
    if spec.columns[name].kind in ("number", "integer"):
        numbers = _numbers(cells)
        binning = number_binning(numbers)
        return Column(name, True, binning, counted_numbers(numbers, binning), int(cells.isna().sum()))
    found = cells.value_counts(dropna=True)
    found = found[found > 0]
    binning = word_binning([str(v) for v in found.index]) if len(found) <= 1 else _by_frequency(found)
    column = Column(
        name, False, binning, np.zeros(binning.n, np.int64), 0, frozenset(str(value) for value in found.index)
    )
    counts, n_missing, _ = counted(column, cells)
    return Column(name, False, binning, counts, n_missing, column.known)


def _by_frequency(found: pd.Series) -> Binning:
    kept = [str(value) for value in found.index[:40]]
    return Binning(np.empty(0), tuple(kept), np.zeros(0))


def _all_effects(column: Column, counts: Counts) -> dict[str, float]:
    """Every effect as it is, sampling included: for a person who knows them."""
    p, q = shares(column.counts), shares(counts)
    found = {
        "psi": population_stability(p, q),
        "js_distance": np.sqrt(jensen_shannon(p, q)),
        "cramers_v": cramers_v(p, q),
    }
    if column.is_number:
        found |= {"ks": kolmogorov_smirnov(p, q), "wasserstein": wasserstein(p, q, column.binning.centres)}
    return {name: round(float(value), 6) for name, value in found.items()}


def _value(monitor: str, at: datetime, verdict, least: float, detail: dict) -> MonitorValue:
    return MonitorValue(
        monitor=monitor,
        at=at,
        value=verdict.value,
        low=verdict.low,
        high=verdict.high,
        threshold=verdict.threshold,
        least=least,
        is_alarm=verdict.is_alarm,
        p_value=verdict.p_value,
        detail=detail,
    )


def _numbers(cells: pd.Series) -> NDArray[np.float64]:
    return cells.to_numpy(dtype=np.float64, na_value=np.nan)


def _some(frame: pd.DataFrame) -> pd.DataFrame:
    return (
        frame
        if len(frame) <= MOST_CODED
        else frame.iloc[np.sort(np.random.default_rng(0).choice(len(frame), MOST_CODED, replace=False))]
    )
