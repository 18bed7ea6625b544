"""assay tabular performance claims: each period against the baseline where labels have come, estimated where they have not.

Exit codes: 0 good, 1 a period is worse (labels), or the estimate falls below the margin, 2 wrong use.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.tabular_evaluate import Model, Rows

if TYPE_CHECKING:
    from app.tabular_evaluation import PeriodRows
    from data.tabular.model import TabularModel
    from evals.tabular.metrics import Scored

FEWEST = 50
"""Labelled rows of a period that are measured and tested; fewer say nothing."""
N_RESAMPLES = 200
EARLY = 0.001
"""p below which rows with labels are told to differ from those that wait."""

Predictions = Annotated[
    Path | None,
    typer.Option(
        help="Scores that were served (csv, parquet, by the table's id); by default the model scores the rows."
    ),
]
Served = Annotated[
    bool, typer.Option("--served", help="Predictions that were served and kept, with the labels sent since.")
]
AsOf = Annotated[str, typer.Option(help="Only labels that were known at this moment; by default all there are.")]
Margin = Annotated[float, typer.Option(min=0, help="The loss that matters, and the error allowed to an estimate.")]
Shift = Annotated[bool, typer.Option("--shift/--no-shift", help="Test whether the estimate's assumption holds.")]
Weighted = Annotated[
    bool, typer.Option("--weighted", help="Calibrate where the new rows are (importance weights by row).")
]


def performance(
    model: Model,
    rows: Rows = None,
    predictions: Predictions = None,
    score_column: Annotated[str, typer.Option(help="Where the scores stand in that file.")] = "score",
    served: Served = False,
    by: Annotated[str, typer.Option(help="Periods: week, month, quarter, year of a date; value of a number.")] = "",
    since: Annotated[str, typer.Option(help="The first moment; by default after the newest held-out row.")] = "",
    as_of: AsOf = "",
    metric: Annotated[str, typer.Option(help="The metric in the table; --json has all.")] = "roc_auc",
    margin: Margin = 0.02,
    shift: Shift = True,
    weighted: Weighted = False,
    as_json: AsJson = False,
) -> None:
    """Watch performance by period: realised, estimated before labels, and whether the estimate is to be believed."""
    from app.settings import load_settings
    from app.tabular_evaluation import labelled_rows, opened_model, period_rows, predicted, scored_rows, served_periods
    from data.tabular.contract import load_checked
    from evals.tabular.estimated import ASSUMPTIONS
    from evals.tabular.performance import mean_absolute_error

    settings = load_settings()
    opened = opened_model(model, settings)
    reference = labelled_rows(opened)
    joined = ""
    if served:
        periods = served_periods(opened, settings, by=by, as_of=as_of)
    else:
        frame, scores = load_checked(opened.spec) if rows is None else labelled_rows(opened, rows), None
        if predictions is not None:
            frame, scores, joined = predicted(predictions, frame, opened.spec, score_column)
        periods = period_rows(opened, frame, by=by, since=since, as_of=as_of, scores=scores)
    watch = _Watch(opened, scored_rows(opened, reference), opened.matrix(reference), margin, shift, weighted)
    found = [watch.facts(one) for one in periods]
    pairs = [(one["estimated"][metric][0], one["realised"][metric]) for one in found if one["realised"]]
    facts = {
        "model": opened.ref,
        "baseline_rows": len(reference),
        "baseline": watch.baseline,
        "joined": joined,
        "periods": found,
        "mean_absolute_error": mean_absolute_error(*map(list, zip(*pairs, strict=True))) if pairs else None,
        "metric": metric,
        "tested": shift,
        "assumptions": ASSUMPTIONS,
    }
    if as_json:
        print_json(facts)
    else:
        _print(facts)
    if any(_is_bad(one, metric) for one in found):
        raise typer.Exit(1)


class _Watch:
    """The baseline, and what is computed of each period against it."""

    def __init__(
        self, model: "TabularModel", before: "Scored", matrix: Any, margin: float, shift: bool, weighted: bool
    ) -> None:
        from evals.tabular.metrics import values_of

        self.model, self.before, self.matrix = model, before, matrix
        self.margin, self.shift, self.weighted = margin, shift, weighted
        self.baseline = values_of(before)

    def facts(self, period: "PeriodRows") -> dict[str, Any]:
        from evals.tabular.estimated import estimate
        from evals.tabular.performance import early_bias
        from evals.tabular.resampling import as_list

        weights = self._weights(period.matrix) if self.weighted else None
        expected = estimate(self.before, period.scores, weights=weights)
        facts: dict[str, Any] = {
            "period": period.name,
            "rows": len(period.scores),
            "labelled": int(period.has_label.sum()),
            "early_bias": early_bias(period.scores, period.has_label),
            "estimated": {name: as_list(one) for name, one in expected.metrics.items()},
            "calibration": expected.calibration,
            "below_margin": self._below_margin(expected.metrics),
            "realised": None,
            "changes": None,
            "concept": None,
            "rows_moved": self._moved(period.matrix) if self.shift else None,
        }
        if facts["labelled"] >= FEWEST:
            facts |= self._labelled(period)
        return facts

    def _weights(self, matrix: Any) -> Any:
        from evals.tabular.shift import density_ratio

        return density_ratio(self.matrix, matrix)

    def _below_margin(self, metrics: Any) -> list[str]:
        """Metrics whose whole estimated interval lies worse than the baseline by more than the margin."""
        from evals.tabular.metrics import LESS_IS_BETTER

        found = []
        for name, one in metrics.items():
            sign = -1 if name in LESS_IS_BETTER else 1
            best = one.low if sign < 0 else one.high
            if sign * (best - self.baseline[name]) < -self.margin:
                found.append(name)
        return found

    def _moved(self, matrix: Any) -> dict[str, Any]:
        from evals.tabular.resampling import as_list
        from evals.tabular.shift import covariate_shift

        found = covariate_shift(self.matrix, matrix)
        columns = self.model.features.feature_columns
        drivers = list(dict.fromkeys(columns[at] for at, _ in found.drivers))
        return {"separability": as_list(found.separability), "drivers": drivers}

    def _labelled(self, period: "PeriodRows") -> dict[str, Any]:
        from evals.tabular.performance import changes
        from evals.tabular.resampling import as_list

        after = period.scored(self.model)
        found = changes(self.before, after, margin=self.margin, n_resamples=N_RESAMPLES)
        facts: dict[str, Any] = {
            "realised": {one.metric: _number(one.period) for one in found},
            "changes": {one.metric: {"difference": as_list(one.difference), "verdict": one.verdict} for one in found},
        }
        if self.shift:
            facts["concept"] = self._concept(after, period.matrix[period.has_label])
        return facts

    def _concept(self, after: "Scored", matrix: Any) -> dict[str, Any]:
        from evals.tabular.resampling import as_list
        from evals.tabular.shift import Period, concept_shift

        before = Period(self.before, self.matrix)
        found = concept_shift(before, Period(after, matrix), tolerance=self.margin)
        return {
            "verdict": found.verdict,
            "p_values": {test.name: test.adjusted for test in found.tests},
            "moved_by": as_list(found.moved_by),
            "roc_auc_gap": as_list(found.gap),
        }


def _number(value: float) -> float | None:
    return value if value == value else None


def _is_bad(period: dict[str, Any], metric: str) -> bool:
    if period["changes"]:
        return period["changes"][metric]["verdict"] == "worse"
    return metric in period["below_margin"]


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    metric = facts["metric"]
    console.print(
        f"{facts['model']}: {metric} {facts['baseline'][metric]:.4f} on {facts['baseline_rows']} held-out rows"
    )
    if facts["joined"]:
        console.print(facts["joined"])
    table = Table(
        "period", "rows", "labelled", "estimated [95 %]", "realised", "against the baseline", "rows moved", "assumption"
    )
    for one in facts["periods"]:
        value, low, high = (_shown(number) for number in one["estimated"][metric])
        cells = [one["period"], str(one["rows"]), str(one["labelled"]), f"{value} [{low}, {high}]"]
        if one["changes"]:
            change = one["changes"][metric]
            by = change["difference"][0]
            cells += [_shown(one["realised"][metric]), f"{change['verdict']} ({'' if by is None else f'{by:+.4f}'})"]
        else:
            cells += ["", "expected to be worse" if metric in one["below_margin"] else ""]
        moved = one["rows_moved"]
        cells.append(f"{_shown(moved['separability'][0])} {', '.join(moved['drivers'][:2])}" if moved else "")
        cells.append(_believed(one, facts["tested"]))
        table.add_row(*map(escape, cells))
    console.print(table)
    for one in facts["periods"]:
        if one["early_bias"] < EARLY:
            console.print(
                f"{one['period']}: rows with labels score otherwise than those that wait (p {one['early_bias']:.1e}); "
                "they do not stand for all."
            )
    if facts["mean_absolute_error"] is not None:
        console.print(f"Mean absolute error of the estimated {metric}: {facts['mean_absolute_error']:.4f}")
    console.print("The estimate assumes:")
    for line in facts["assumptions"]:
        console.print(f"  - {line}", soft_wrap=False)


def _believed(period: dict[str, Any], tested: bool) -> str:
    if not tested:
        return "not tested"
    return period["concept"]["verdict"] if period["concept"] else "not testable yet"


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"
