"""Who is compared with whom: the cells of a confusion matrix by group, and their bootstrap. Knows no measure of fairness.

A bootstrap of rows sees nothing of a row but its cell (group, label, decision), so drawing rows with replacement is drawing the
cells from a multinomial: exact, and independent of the number of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.errors import InvalidInput
from data.tabular.cells import texts
from data.tabular.table import is_privileged
from data.tabular.table_spec import TableSpec

TP, FP, FN, TN = range(4)


@dataclass(frozen=True)
class Grouped:
    """Rows by group: `group` int [n], a place in `names`; `labels` and `decisions` say 1 where it is *good for the person*."""

    names: tuple[str, ...]
    group: np.ndarray
    labels: np.ndarray
    decisions: np.ndarray
    clusters: np.ndarray | None = None

    def cells(self) -> np.ndarray:
        """float64 [groups, 4]: how many true and false positives, false and true negatives."""
        return np.bincount(self._cell(), minlength=4 * len(self.names)).reshape(-1, 4).astype(np.float64)

    def drawn_cells(self, n_resamples: int = 1000, seed: int = 0) -> np.ndarray:
        """float64 [n_resamples, groups, 4]: the same of rows (or whole clusters of rows) drawn with replacement."""
        rng, n_cells = np.random.default_rng(seed), 4 * len(self.names)
        if self.clusters is None:
            counts = self.cells().ravel()
            drawn = rng.multinomial(int(counts.sum()), counts / counts.sum(), n_resamples).astype(np.float64)
        else:
            at = np.unique(self.clusters, return_inverse=True)[1]
            n_clusters = int(at.max()) + 1
            totals = np.bincount(at * n_cells + self._cell(), minlength=n_clusters * n_cells).reshape(-1, n_cells)
            picks = (rng.integers(0, n_clusters, n_clusters) for _ in range(n_resamples))
            drawn = np.stack([np.bincount(pick, minlength=n_clusters) @ totals for pick in picks]).astype(np.float64)
        return drawn.reshape(n_resamples, -1, 4)

    def _cell(self) -> np.ndarray:
        kind = np.where(self.labels == 1, np.where(self.decisions == 1, TP, FN), np.where(self.decisions == 1, FP, TN))
        return self.group * 4 + kind


@dataclass(frozen=True)
class Outcome:
    """Labels and decisions, bool or 0/1 [n], turned so that 1 is good for the person: a fraud detector's good is 0."""

    labels: np.ndarray
    decisions: np.ndarray

    @classmethod
    def of(cls, labels: np.ndarray, decisions: np.ndarray, favourable: str) -> "Outcome":
        labels, decisions = np.asarray(labels).astype(np.int8), np.asarray(decisions).astype(np.int8)
        return cls(labels, decisions) if favourable == "positive" else cls(1 - labels, 1 - decisions)


def privileged_and_not(
    outcome: Outcome, frame: pd.DataFrame, spec: TableSpec, attribute: str, clusters: np.ndarray | None = None
) -> Grouped:
    """Two groups of a protected attribute: 0 unprivileged, 1 privileged. Raises: InvalidInput."""
    known_attribute(spec, attribute)
    group = is_privileged(frame, spec, attribute).astype(np.int64)
    return Grouped(("unprivileged", "privileged"), group, outcome.labels, outcome.decisions, clusters)


def intersections(
    outcome: Outcome,
    frame: pd.DataFrame,
    spec: TableSpec,
    attributes: Sequence[str],
    clusters: np.ndarray | None = None,
) -> Grouped:
    """Every combination of attributes that occurs: categories by value, numbers by privileged or not. Raises: InvalidInput."""
    words = [_words(frame, spec, attribute) for attribute in attributes]
    names = pd.Series([" & ".join(row) for row in zip(*words, strict=True)])
    group, found = pd.factorize(names, sort=True)
    return Grouped(tuple(found), group, outcome.labels, outcome.decisions, clusters)


def known_attribute(spec: TableSpec, attribute: str) -> None:
    if attribute not in spec.protected:
        raise InvalidInput(
            f"{attribute!r} is no protected attribute of {spec.name}.",
            field="attribute",
            next_step=f"Name one of {', '.join(spec.protected) or '(none)'}, or add it to `protected` in the table's spec.",
        )


def _words(frame: pd.DataFrame, spec: TableSpec, attribute: str) -> list[str]:
    known_attribute(spec, attribute)
    if spec.columns[attribute].kind in ("category", "boolean"):
        return [
            f"{attribute}={word}"
            for word in texts(frame[attribute]).astype(object).where(frame[attribute].notna(), "?")
        ]
    who = spec.protected[attribute]
    bounds = "" if who.low is None else f" from {who.low:g}"
    bounds += "" if who.high is None else f" to {who.high:g}"
    return [
        f"{attribute}{bounds}" if one else f"{attribute} not{bounds}" for one in is_privileged(frame, spec, attribute)
    ]
