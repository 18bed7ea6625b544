"""Thresholds of their own for each group, and what they cost. Chosen on one half of the rows, measured on the other. Trains nothing.

The other way, weights for training, is `data.tabular.reweighing`: train a second model with them and compare both here.
Decisions stay deterministic: equal persons of one group are decided alike, unlike randomised post-processing (Hardt, Price and
Srebro, NeurIPS 2016). Whether groups may be treated differently at all is a question of law, not of this module.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from data.errors import InvalidInput
from evals.tabular.fairness import FairnessReport, FairnessRule, fairness_of, measures_of
from evals.tabular.groups import Grouped, Outcome
from evals.tabular.metrics import Scored, values_of

N_STEPS = 101
SLACK = 0.5
"""The share of the limit that a pair may use where it is chosen, so that it still keeps the limit on other rows."""
Goal = Literal[
    "all",
    "statistical_parity_difference",
    "equal_opportunity_difference",
    "average_odds_difference",
    "disparate_impact",
]


@dataclass(frozen=True)
class Case:
    """What is to be decided: rows with their group (0 unprivileged, 1 privileged) and which decision is favourable."""

    scored: Scored
    privileged: np.ndarray
    favourable: str
    attribute: str

    def grouped(self, decisions: np.ndarray, rows: np.ndarray | None = None) -> Grouped:
        at = slice(None) if rows is None else rows
        outcome = Outcome.of(self.scored.labels[at], decisions[at], self.favourable)
        clusters = None if self.scored.clusters is None else self.scored.clusters[at]
        group = self.privileged[at].astype(np.int64)
        return Grouped(("unprivileged", "privileged"), group, outcome.labels, outcome.decisions, clusters)


@dataclass(frozen=True)
class Mitigated:
    """`thresholds` by group; metrics and fairness before and after, on rows that chose nothing."""

    thresholds: Mapping[str, float]
    before: Mapping[str, float]
    after: Mapping[str, float]
    fair_before: FairnessReport
    fair_after: FairnessReport
    share_changed: float
    """Of the rows, how many are decided otherwise."""


def group_thresholds(
    case: Case, goal: Goal = "all", rule: FairnessRule = FairnessRule(), *, seed: int = 0
) -> Mitigated:
    """Find the cheapest pair of thresholds that keeps the rule for `goal` on half of the rows; measure on the other half.

    Where no pair keeps it, the pair that comes closest. Raises: InvalidInput where a half lacks a group.
    """
    rows = np.arange(len(case.scored.labels))
    choosing = _half(case, seed)
    if min(np.bincount(case.privileged[part].astype(int), minlength=2).min() for part in (choosing, ~choosing)) < 2:
        raise InvalidInput(f"{case.attribute}: one of the groups has too few rows to split.", field="attribute")
    low, high = _searched(case, rows[choosing], goal, rule)
    thresholds = np.where(case.privileged, high, low)
    decisions, own = case.scored.scores >= thresholds, case.scored.decisions
    held = rows[~choosing]
    return Mitigated(
        {"unprivileged": float(low), "privileged": float(high)},
        values_of(case.scored.where(held)),
        _decided_metrics(case.scored.where(held), decisions[held]),
        fairness_of(case.grouped(own, held), case.attribute, rule, seed=seed),
        fairness_of(case.grouped(decisions, held), case.attribute, rule, seed=seed),
        float((decisions[held] != own[held]).mean()),
    )


def _half(case: Case, seed: int) -> np.ndarray:
    """bool [n]: rows that choose; whole clusters stay on one side."""
    rng, clusters = np.random.default_rng((seed, len(case.scored.labels))), case.scored.clusters
    if clusters is None:
        return rng.random(len(case.scored.labels)) < 0.5
    at = np.unique(clusters, return_inverse=True)[1]
    return (rng.random(at.max() + 1) < 0.5)[at]


def _searched(case: Case, rows: np.ndarray, goal: Goal, rule: FairnessRule) -> tuple[float, float]:
    """Every pair of a grid of quantiles, their cells by cumulated counts: [steps, steps] at once."""
    grids, cells, prices = zip(
        *(_grid(case, rows[case.privileged[rows] == group]) for group in (False, True)), strict=True
    )
    first, second = np.meshgrid(np.arange(len(grids[0])), np.arange(len(grids[1])), indexing="ij")
    pairs = np.stack([cells[0][first], cells[1][second]], axis=-2)  # [steps, steps, 2 groups, 4 cells]
    values = measures_of(pairs)
    wanted = [goal] if goal != "all" else [name for name in values if rule.bounds(name) is not None]
    excess = np.zeros(first.shape)
    for name in wanted:
        low, high = _narrowed(name, rule)
        outside = np.maximum(low - values[name], values[name] - high)
        excess = np.maximum(excess, np.where(np.isfinite(values[name]), np.maximum(outside, 0.0), np.inf))
    price = prices[0][first] + prices[1][second]
    best = np.lexsort((price.ravel(), np.round(excess, 9).ravel()))[0]
    i, j = np.unravel_index(best, first.shape)
    return float(grids[0][i]), float(grids[1][j])


def _narrowed(name: str, rule: FairnessRule) -> tuple[float, float]:
    low, high = rule.bounds(name) or (-np.inf, np.inf)
    if name == "disparate_impact":
        return low**SLACK, high**SLACK
    return low * SLACK, high * SLACK


def _grid(case: Case, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one group: thresholds [steps] between its scores, the present one included, their cells [steps, 4] and prices [steps].

    Prices are expected from the scores, as in `evals.tabular.estimated`: dear errors are rare, and pairs chosen by the few
    there are would be chosen by luck.
    """
    scores = case.scored.scores[rows]
    between = np.quantile(scores, np.linspace(0, 1, N_STEPS))
    grid = np.unique(np.concatenate([between, [case.scored.threshold, np.nextafter(1.0, 2.0)]]))
    decided = scores[None, :] >= grid[:, None]
    costs = case.scored.costs
    price = costs.false_positive * (decided @ (1 - scores)) + costs.false_negative * (~decided @ scores)
    good = np.broadcast_to(case.scored.labels[rows] == 1, decided.shape)
    if case.favourable == "negative":
        decided, good = ~decided, ~good
    kinds = (decided & good, decided & ~good, ~decided & good, ~decided & ~good)
    return grid, np.stack([kind.sum(axis=1) for kind in kinds], axis=1).astype(np.float64), price


def _decided_metrics(scored: Scored, decisions: np.ndarray) -> dict[str, float]:
    """Of given decisions: what follows from them alone is recomputed, what follows from the ranking stays."""
    ranked = values_of(scored)
    as_scores = values_of(replace(scored, scores=decisions.astype(np.float64), threshold=0.5))
    return ranked | {name: as_scores[name] for name in ("accuracy", "precision", "recall", "f1", "cost")}
