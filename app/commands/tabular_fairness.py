"""assay tabular fairness MODEL...: the measures with intervals and verdicts, the best of the models that pass, and what mending costs.

Exit codes: 0 a model is fair enough, 1 none is (FairnessViolation), 2 wrong use.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.tabular_evaluate import Rows

if TYPE_CHECKING:
    import pandas as pd

    from data.tabular.model import TabularModel
    from evals.tabular.fairness import FairnessReport, FairnessRule
    from evals.tabular.groups import Grouped
    from evals.tabular.metrics import Scored
    from evals.tabular.selection import Candidate

MAX_GROUPS = 16


class Goals(StrEnum):
    ALL = "all"
    PARITY = "statistical_parity_difference"
    OPPORTUNITY = "equal_opportunity_difference"
    ODDS = "average_odds_difference"
    IMPACT = "disparate_impact"


def fairness(
    models: Annotated[
        list[str], typer.Argument(help="Names, name@version or folders; the best that is fair is chosen.")
    ],
    rows: Rows = None,
    attribute: Annotated[
        list[str] | None, typer.Option(help="A protected attribute; may be repeated. By default all of the table's.")
    ] = None,
    metric: Annotated[str, typer.Option(help="What the best of the fair models is chosen by.")] = "roc_auc",
    max_difference: Annotated[float, typer.Option(min=0, help="How far rates of groups may differ.")] = 0.1,
    impact: Annotated[tuple[float, float], typer.Option(help="Between what disparate impact must lie.")] = (0.8, 1.25),
    certain: Annotated[bool, typer.Option("--certain", help="The whole interval must keep the limit.")] = False,
    min_rows: Annotated[int, typer.Option(min=1, help="Groups of fewer rows decide nothing.")] = 30,
    mitigate: Annotated[bool, typer.Option("--mitigate", help="Try thresholds by group, and show their cost.")] = False,
    goal: Annotated[Goals, typer.Option(help="What those thresholds must keep.")] = Goals.ALL,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compute every figure with aif360 and fairlearn too.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Measure how decisions differ between groups, and choose the best model that is fair enough."""
    from app.settings import load_settings
    from app.tabular_evaluation import opened_model
    from evals.tabular.fairness import FairnessRule
    from evals.tabular.selection import FairnessViolation, select

    rule = FairnessRule(max_difference=max_difference, impact=impact, certain=certain, min_rows=min_rows)
    settings = load_settings()
    judged = [
        _judged(opened_model(one, settings), rows, attribute, rule, check, goal.value if mitigate else None)
        for one in models
    ]
    facts: dict[str, Any] = {"rule": rule.model_dump(), "models": [one.facts for one in judged], "chosen": None}
    try:
        chosen = select([one.candidate for one in judged], metric)
        facts |= {"chosen": chosen.chosen.name, "cost": chosen.cost, "unconstrained": chosen.unconstrained.name}
        verdict = f"{chosen.chosen.name} is the best that is fair enough: {metric} {chosen.chosen.metrics[metric]:.4f}"
        if chosen.cost:
            verdict += f", {chosen.cost:.4f} less than {chosen.unconstrained.name}, which is not"
        violation = None
    except FairnessViolation as error:
        facts |= {"violation": error.message, "closest": error.closest.name}
        verdict, violation = f"FairnessViolation: {error}", error
    if as_json:
        print_json(facts)
    else:
        _print(judged, verdict)
    if violation:
        raise typer.Exit(1)


class _Judged:
    def __init__(self, candidate: "Candidate", facts: dict[str, Any], reports: "list[FairnessReport]") -> None:
        self.candidate, self.facts, self.reports = candidate, facts, reports


def _judged(
    model: "TabularModel",
    rows: Any,
    attributes: list[str] | None,
    rule: "FairnessRule",
    check: bool,
    goal: str | None,
) -> _Judged:
    from app.tabular_evaluation import labelled_rows, scored_rows
    from data.errors import InvalidInput
    from evals.tabular.fairness import fairness_of
    from evals.tabular.groups import Outcome, intersections, privileged_and_not
    from evals.tabular.metrics import values_of
    from evals.tabular.selection import Candidate

    names = attributes or list(model.protected)
    if not names:
        raise InvalidInput(
            f"{model.ref}: its table names no protected attribute.",
            field="attribute",
            next_step="Add `protected` to the table's spec, train again, or use another model.",
        )
    frame = labelled_rows(model, rows)
    scored = scored_rows(model, frame)
    outcome = Outcome.of(scored.labels, scored.decisions, model.spec.favourable)
    by_attribute = {name: privileged_and_not(outcome, frame, model.spec, name, scored.clusters) for name in names}
    reports = [fairness_of(grouped, name, rule) for name, grouped in by_attribute.items()]
    facts: dict[str, Any] = {
        "model": model.ref,
        "rows": len(frame),
        "favourable": model.spec.favourable,
        "metrics": values_of(scored),
        "attributes": [_report(one) for one in reports],
        "groups": _groups(intersections(outcome, frame, model.spec, names, scored.clusters), rule.min_rows),
    }
    if check:
        facts["agreement"] = {name: _agreement(grouped) for name, grouped in by_attribute.items()}
    if goal:
        facts["mitigation"] = [_mitigated(model, frame, scored, name, rule, goal) for name in names]
    return _Judged(Candidate(model.ref, facts["metrics"], tuple(reports)), facts, reports)


def _agreement(grouped: "Grouped") -> float:
    from data.errors import MissingExtra

    try:
        from evals.tabular.fairness_reference import greatest_difference
    except ImportError as error:
        raise MissingExtra(error.name or "aif360", extra="tabular") from error
    return greatest_difference(grouped)


def _groups(grouped: "Grouped", min_rows: int) -> list[dict[str, Any]]:
    """Every combination of the attributes with its rates, and whether it is too small to tell."""
    found = []
    for name, (tp, fp, fn, tn) in zip(grouped.names, grouped.cells().tolist(), strict=True):
        n = tp + fp + fn + tn
        found.append(
            {
                "group": name,
                "rows": int(n),
                "favourable_decisions": (tp + fp) / n,
                "favourable_labels": (tp + fn) / n,
                "true_favourable_rate": tp / (tp + fn) if tp + fn else None,
                "false_favourable_rate": fp / (fp + tn) if fp + tn else None,
                "too_small": min(n, tp + fn, fp + tn) < min_rows,
            }
        )
    return found


def _mitigated(
    model: "TabularModel", frame: "pd.DataFrame", scored: "Scored", attribute: str, rule: "FairnessRule", goal: Any
) -> dict[str, Any]:
    from data.tabular.table import is_privileged
    from evals.tabular.mitigation import Case, group_thresholds

    case = Case(scored, is_privileged(frame, model.spec, attribute), model.spec.favourable, attribute)
    found = group_thresholds(case, goal, rule)
    return {
        "attribute": attribute,
        "goal": goal,
        "thresholds": dict(found.thresholds),
        "metrics": {
            name: [found.before[name], found.after[name]] for name in ("accuracy", "precision", "recall", "f1", "cost")
        },
        "fairness": {
            name: [found.fair_before.figures[name].measured.value, found.fair_after.figures[name].measured.value]
            for name in found.fair_before.figures
        },
        "passes": [found.fair_before.passes, found.fair_after.passes],
        "share_changed": found.share_changed,
        "rows": sum(found.fair_after.n_rows),
    }


def _report(report: "FairnessReport") -> dict[str, Any]:
    from evals.tabular.resampling import as_list

    return {
        "attribute": report.attribute,
        "rows": {"unprivileged": report.n_rows[0], "privileged": report.n_rows[1]},
        "passes": report.passes,
        "note": report.note,
        "figures": {
            name: {
                "value": as_list(one.measured),
                "verdict": one.verdict,
                "certain": one.is_certain,
                "excess": one.excess if one.excess < float("inf") else None,
            }
            for name, one in report.figures.items()
        },
    }


def _print(judged: list[_Judged], verdict: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from evals.tabular.resampling import told

    console = Console(highlight=False, soft_wrap=True)
    for one in judged:
        facts = one.facts
        console.print(
            f"{facts['model']}: {facts['rows']} rows; the {facts['favourable']} decision is good for the person"
        )
        table = Table("attribute", "measure", "value [95 % interval]", "verdict", "")
        for report in one.reports:
            for figure in report.figures.values():
                note = (
                    report.note
                    if figure.verdict == "too small"
                    else ""
                    if figure.is_certain
                    else "the interval crosses the limit"
                )
                cells = [report.attribute, figure.measure, told(figure.measured), figure.verdict, note]
                table.add_row(*map(escape, cells))
        console.print(table)
        groups = Table("group", "rows", "decided well for", "labelled so", "of these found", "")
        shown = sorted(facts["groups"], key=lambda group: group["favourable_decisions"])
        for group in shown[:MAX_GROUPS]:
            rate = group["true_favourable_rate"]
            cells = [
                group["group"],
                str(group["rows"]),
                f"{group['favourable_decisions']:.1%}",
                f"{group['favourable_labels']:.1%}",
            ]
            cells += ["" if rate is None else f"{rate:.1%}", "too small to tell" if group["too_small"] else ""]
            groups.add_row(*map(escape, cells))
        console.print(groups)
        if len(shown) > MAX_GROUPS:
            console.print(f"{len(shown) - MAX_GROUPS} more groups: --json")
        if "agreement" in facts:
            worst = max(facts["agreement"].values())
            console.print(f"aif360 and fairlearn give the same figures; the greatest difference is {worst:.1e}.")
        for found in facts.get("mitigation", []):
            _print_mitigation(console, found)
    console.print(verdict)


def _print_mitigation(console: Any, found: dict[str, Any]) -> None:
    from rich.table import Table

    low, high = found["thresholds"]["unprivileged"], found["thresholds"]["privileged"]
    console.print(
        f"{found['attribute']}: with thresholds {low:.4f} (unprivileged) and {high:.4f} (privileged), chosen on one half of the "
        f"rows, measured on {found['rows']} others; {found['share_changed']:.1%} of them are decided otherwise"
    )
    table = Table("", "one threshold", "by group", "change")
    for name, (before, after) in (found["metrics"] | found["fairness"]).items():
        table.add_row(name, f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}")
    table.add_row("fair enough", *("yes" if one else "no" for one in found["passes"]), "")
    console.print(table)
