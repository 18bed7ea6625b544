"""assay tabular gate | release | alias: a version's way to users. Shadow, A/B and rollback are the rollout's: assay rollout ... tabular:NAME

Exit codes: 0 good, 1 the gate said no, 2 wrong use, 3 inconclusive.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.tabular_predict import opened_predictions

if TYPE_CHECKING:
    from serving.rollout.planning import TrialSize
    from serving.rollout.policy import RolloutPolicy

Ref = Annotated[str, typer.Argument(help="NAME@VERSION or NAME@ALIAS; NAME alone means its challenger.")]
EXIT = {"pass": 0, "fail": 1, "inconclusive": 3}


def alias(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    alias: Annotated[str, typer.Argument(help="champion, challenger, or another word.")],
    version: Annotated[str, typer.Argument(help="The version it means from now on.")],
) -> None:
    """Give a version an alias. The champion answers where no rollout has promoted another."""
    from app.settings import load_settings
    from serving.tabular.model_store import ModelStore

    ModelStore(load_settings().tabular_models).set_alias(name, alias, version)
    typer.echo(f"{name}@{alias} is {name}@{version}.")


def gate(
    ref: Ref,
    against: Annotated[str, typer.Option(help="The version not to be lost against; by default what answers now.")] = "",
    rows: Annotated[
        Path | None, typer.Option(help="Labelled rows (csv, parquet); by default the candidate's held-out ones.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge a version beside the champion on labelled rows, and keep the verdict that promotion asks for."""
    from app.prediction_gate import judge_version
    from app.tabular_evaluation import labelled_rows

    name, wanted = _named(ref)
    with opened_predictions() as predictions:
        candidate = predictions.store.predictor(name, wanted).model
        champion = _champion(predictions, name, candidate.version, against)
        verdict = judge_version(candidate, champion, labelled_rows(candidate, rows))
        predictions.record(verdict)
    if as_json:
        print_json(verdict)
    else:
        typer.echo(f"{candidate.ref}: {verdict.outcome}, verdict {verdict.id}, {verdict.detail['n_rows']} rows")
        for metric, told in verdict.detail.items():
            if isinstance(told, dict):
                value, low, high = told["better_by"]
                typer.echo(
                    f"  {metric}: {told['candidate']:.4f}, champion {told['champion']:.4f}, better by {value:+.4f} [{low:+.4f}, {high:+.4f}], margin {told['margin']:.4f}"
                )
    raise typer.Exit(EXIT[verdict.outcome])


def release(
    ref: Ref,
    stage: Annotated[
        str, typer.Option(help="shadow, or canary (needs a passing verdict): a canary with --lift is an A/B test.")
    ] = "shadow",
    share: Annotated[float, typer.Option(min=0.001, max=0.999, help="The canary's share of requests.")] = 0.1,
    metric: Annotated[
        str, typer.Option(help="What an A/B test compares: wrong or brier, both once labels come.")
    ] = "wrong",
    lift: Annotated[
        float | None, typer.Option(help="An A/B test: promote only what is proven better by more than this.")
    ] = None,
    expect: Annotated[float | None, typer.Option(help="The true lift to be found; sets the size of the test.")] = None,
    base: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="The incumbent's mean of the metric, such as its error rate.")
    ] = 0.1,
    power: Annotated[float, typer.Option(min=0.5, max=0.99, help="How surely that lift is to be found.")] = 0.8,
    plan: Annotated[bool, typer.Option("--plan", help="State the size of the test and begin nothing.")] = False,
    why: Annotated[str, typer.Option("--why", help="The reason, for the history.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put a version on trial. With labels (assay tabular labels) it is promoted or taken back by itself."""
    from app.commands.rollout import decided_by, gated
    from app.prediction_trial import POLICY
    from app.rollout import TABULAR
    from data.errors import InvalidInput
    from serving.rollout.state import Release, Stage

    if stage not in (Stage.SHADOW, Stage.CANARY):
        raise InvalidInput(f"The stage is {stage!r}.", field="stage", next_step="Use shadow or canary.")
    policy: RolloutPolicy = POLICY
    told: dict[str, Any] = {}
    if lift is not None:
        policy, size = _ab_test(metric, lift, expect, base, power, share)
        told = vars(size)
        if not as_json:
            typer.echo(_size_told(size, power))
    if plan:
        return print_json(told) if as_json else None
    name, wanted = _named(ref)
    with opened_predictions() as predictions, gated():
        version = predictions.store.resolve(name, wanted)
        chosen = Release(version=version, digest=predictions.store.digest(name, version))
        by = decided_by("", why)
        predictions.engine.store.start(TABULAR + name, chosen, by, stage=Stage(stage), share=share, policy=policy)
    if as_json:
        return print_json({"name": TABULAR + name, "version": version, "stage": stage} | told)
    typer.echo(f"{name}@{version} is on trial as {stage}. See: assay rollout status {TABULAR}{name}")


def _ab_test(
    metric: str, lift: float, expect: float | None, base: float, power: float, share: float
) -> tuple["RolloutPolicy", "TrialSize"]:
    from app.prediction_trial import ab_policy, metric_named
    from serving.rollout.planning import TrialPlan, plan_trial

    watched = metric_named(metric).model_copy(update={"min_lift": lift})
    goodness = base if watched.higher_is_better else 1 - base
    size = plan_trial(TrialPlan(watched, share, goodness, expect if expect is not None else 2 * lift or 0.02, power))
    return ab_policy(watched, size.n_candidate), size


def _size_told(size: "TrialSize", power: float) -> str:
    return (
        f"The test ends after {size.n_units} requests with labels at the latest ({size.n_candidate} of them the candidate's); "
        f"it finds the expected lift with probability {power:g}, half of the time after {size.n_median}. "
        f"A test looked at once would need {size.n_fixed}."
    )


def _champion(predictions: Any, name: str, candidate: str, against: str) -> Any:
    """What the candidate must not lose against; None where nothing else has ever answered."""
    from data.errors import NotFound

    try:
        champion = predictions.describe(f"{name}@{against}" if against else name).model
    except NotFound:
        if against:
            raise
        return None
    return champion if champion.version != candidate else None


def _named(ref: str) -> tuple[str, str]:
    from serving.tabular.model_store import CHALLENGER

    name, _, wanted = ref.partition("@")
    return name, wanted or CHALLENGER
