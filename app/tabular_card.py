"""What `evals.tabular` adds to training: the choice among fair candidates, and the card's chapters on fairness and explanation.

Training itself measures nothing of this: it lies beside `evals` and knows it not.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from evals.tabular.fairness import FairnessReport, FairnessRule, fairness_of
from evals.tabular.groups import Outcome, privileged_and_not
from evals.tabular.resampling import told
from evals.tabular.selection import Candidate as Judged
from evals.tabular.selection import select

if TYPE_CHECKING:
    import numpy as np

    from data.tabular.model import TabularModel
    from finetune.tabular.folds import Rows
    from finetune.tabular.train import Candidate, Trained

N_COLUMNS = 12


def fairest(rows: "Rows", candidates: "Sequence[Candidate]") -> "Candidate":
    """The best in the folds among those that are fair there. Raises: FairnessViolation with what comes closest."""
    judged = []
    for at, one in enumerate(candidates):
        decisions = one.scores >= one.threshold
        reports = fairness_reports(rows, rows.scored, decisions)
        judged.append(Judged(f"{at}: {one.config.kind}", _upwards(one.values), tuple(reports)))
    chosen = select(judged, rows.config.target_metric).chosen
    return candidates[judged.index(chosen)]


def fairness_reports(rows: "Rows", places: "np.ndarray", decisions: "np.ndarray") -> list[FairnessReport]:
    """Of decisions about the rows at `places`: one per protected attribute; those with a group without rows are left out."""
    frame = rows.frame.iloc[places]
    clusters = frame[rows.spec.group].to_numpy() if rows.spec.group else None
    asked = rows.config.fairness
    rule = FairnessRule(max_difference=asked.max_difference, impact=asked.impact, min_rows=asked.min_rows)
    outcome = Outcome.of(rows.labels[places], decisions, rows.spec.favourable)
    found = []
    for name in asked.attributes or tuple(rows.spec.protected):
        grouped = privileged_and_not(outcome, frame, rows.spec, name, clusters)
        if len(set(grouped.group.tolist())) == 2:
            found.append(fairness_of(grouped, name, rule))
    return found


def chapters(trained: "Trained") -> dict[str, str]:
    """Markdown by title, of the held-out rows: Fairness where attributes are protected, Explanation."""
    rows, outcome = trained.rows, trained.outcome
    reports = fairness_reports(rows, rows.split.test, outcome.scores >= outcome.threshold)
    found = {"Explanation": _importance(trained.model)} if len(trained.model.reference) else {}
    return {"Fairness": _fairness(reports, rows.spec.favourable)} | found if reports else found


def _fairness(reports: Sequence[FairnessReport], favourable: str) -> str:
    lines = [
        f"Of the held-out rows; a {favourable} decision is good for the person. Unprivileged less (by) privileged.",
        "",
        "| attribute | measure | value [95 % interval] | verdict |",
        "|---|---|---|---|",
    ]
    for report in reports:
        for name, figure in report.figures.items():
            lines.append(f"| {report.attribute} | {name} | {told(figure.measured)} | {figure.verdict} |")
        if report.note:
            lines.append(f"| {report.attribute} | | | {report.note} |")
    return "\n".join(lines)


def _importance(model: "TabularModel") -> str:
    """Mean absolute SHAP contribution by column."""
    from evals.tabular.explanation import Explainer

    found = list(Explainer(model).rows(model.reference.head(500)).importance.items())[:N_COLUMNS]
    lines = ["Mean absolute SHAP contribution over held-out rows, in log-odds.", "", "| column | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value:.4f} |" for name, value in found)])


def _upwards(values: Mapping[str, float]) -> dict[str, float]:
    """Of the folds; `select` knows that Brier falls, log loss it must be told."""
    return {name: -value if name == "log_loss" else value for name, value in values.items()}
