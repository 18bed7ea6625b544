"""Wires the parts of a tabular model together: the table, the training of `finetune`, the measures of `evals`, the files, MLflow.

done = train_table_model(load_config("claims"), settings)
done.model.ref, done.folder, done.run
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.settings import Settings
from data.errors import InvalidInput, MissingExtra, NotFound

if TYPE_CHECKING:
    import pandas as pd

    from data.tabular.model import Measured, TabularModel
    from data.tabular.table_spec import TableSpec
    from finetune.tabular.config import Loaded
    from finetune.tabular.train import Outcome, Trained

Log = Callable[[str], None]


class TableRefused(InvalidInput):
    """A critical finding of the quality suite, or a column that knows the answer."""

    code = "table_refused"


@dataclass(frozen=True)
class Done:
    """What a training run left."""

    model: "TabularModel"
    trained: "Trained"
    folder: Path
    run: str = ""
    """MLflow's id; empty where it was not tracked."""
    registered: str = ""
    """MLflow's number of the version."""


def models_folder(settings: Settings) -> Path:
    """Where saved models lie: one folder `name@version` each, aliases in aliases.json (`serving.registry.FolderRegistry`)."""
    return settings.tabular_models


def model_folder(settings: Settings, ref: str) -> Path:
    """Of `name@version`, `name@alias` or `name` (the newest version). Raises: NotFound naming those there are."""
    from serving.registry import FolderRegistry, find

    registry = FolderRegistry(models_folder(settings))
    name, _, wanted = ref.partition("@")
    versions = [one for one in registry.adapters() if one.name == name]
    if not wanted and versions:
        return Path(versions[-1].source)
    if not versions:
        known = ", ".join(dict.fromkeys(one.name for one in registry.adapters())) or "none yet"
        raise NotFound(
            f"There is no tabular model {name!r}.",
            next_step=f"There are: {known}. Train one: assay tabular train claims",
        )
    return Path(find(registry, ref).source)


def checked_table(spec: "TableSpec", settings: Settings, *, quality: bool, n_rows: int | None = None) -> "pd.DataFrame":
    """Read, checked by the contract and, with `quality`, by Great Expectations. Raises: ContractBroken, TableRefused."""
    from data.tabular.contract import load_checked
    from data.tabular.quality import QualityReport

    frame = load_checked(spec, n_rows=n_rows)
    if not quality:
        return frame
    try:
        from data.tabular.quality_suite import ENGINE, suite_findings
    except ImportError as error:
        raise MissingExtra(error.name or "great-expectations", extra="tabular") from error
    report = QualityReport.of(spec, frame, suite_findings(frame, spec), f"pandera and {ENGINE}")
    page = report.save(settings.var / "quality")[1]
    if report.critical:
        told = "; ".join(f"{one.rule} {one.column}: {one.observed}, not {one.expected}" for one in report.critical[:5])
        raise TableRefused(
            f"{spec.name} has {len(report.critical)} critical findings: {told}.",
            field="table",
            next_step=f"See {page}; mend the table, or set quality=false.",
        )
    return frame


def train_table_model(
    loaded: "Loaded",
    settings: Settings,
    *,
    frame: "pd.DataFrame | None" = None,
    log: Log = lambda told: None,
    go_on: bool = False,
) -> Done:
    """Check, train, choose, measure, save, track and register.

    Raises: ContractBroken; TableRefused for critical findings or a leak, unless told to `go_on`; FairnessViolation where
    `fairness.required` and no model is fair enough; InvalidInput.
    """
    try:
        from app.tabular_card import chapters, fairest
        from finetune.tabular.train import Options, best, findings_of, finish, prepare, train_candidate
    except ImportError as error:
        raise MissingExtra(error.name or "xgboost-cpu", extra="tabular") from error
    config = loaded.config
    if frame is None:
        log(f"reading and checking {loaded.spec.name}")
        frame = checked_table(loaded.spec, settings, quality=config.quality, n_rows=config.rows)
    rows = prepare(loaded, frame)
    options = Options(measured, f"sqlite:///{settings.var / 'optuna.db'}", log)
    findings = findings_of(rows)
    for one in findings:
        log(str(one))
    if (stops := [one for one in findings if one.severity == "stop"]) and not go_on:
        raise TableRefused(
            " ".join(one.message for one in stops), field="table", next_step="Or go on all the same: --go-on."
        )
    candidates = [train_candidate(rows, model, options) for model in config.models]
    chosen = (fairest if config.fairness.required else best)(rows, candidates)
    trained = finish(rows, chosen, candidates, findings, options)
    return _kept(trained, settings, chapters(trained), log)


def measured(outcome: "Outcome") -> "dict[str, Measured]":
    """Every metric of `evals.tabular` with its interval."""
    from evals.tabular.metrics import Scored, measure

    return measure(Scored(outcome.labels, outcome.scores, outcome.threshold, outcome.costs, outcome.clusters))


def _kept(trained: "Trained", settings: Settings, sections: Mapping[str, str], log: Log) -> Done:
    """Saved under the next version, then tracked: MLflow out of reach costs no model."""
    from data.tabular.model_files import save_model
    from finetune.tabular.card import card_text
    from finetune.tabular.pictures import curves, pictures

    config = trained.rows.config
    tracker = _tracker(trained, settings)
    shown = pictures(trained)
    while True:
        version = str(1 + max(_latest(settings, config.name), tracker.latest_version(config.name) if tracker else 0))
        card = card_text(trained, version, sections, list(shown)).encode()
        folder = models_folder(settings) / f"{config.name}@{version}"
        try:
            model = save_model(replace(trained.model, version=version), folder, extra={"README.md": card} | shown)
            break
        except InvalidInput:
            if not folder.exists():  # not another run that was first, but something wrong with ours
                raise
    log(f"saved {model.ref}: {folder}")
    if tracker is None:
        return Done(model, trained, folder)
    run = tracker.log(trained, model, folder, shown, curves(trained.outcome))
    registered = tracker.register(run, model)
    log(
        f"MLflow run {run}, version {registered}"
        + (f", alias {config.tracking.alias}" if config.tracking.alias else "")
    )
    return Done(model, trained, folder, run, registered)


def _tracker(trained: "Trained", settings: Settings) -> Any:
    if not trained.rows.config.tracking.enabled:
        return None
    try:
        from finetune.tabular.tracking import TabularTracker
    except ImportError as error:
        raise MissingExtra(error.name or "mlflow", extra="tabular") from error
    return TabularTracker(settings.mlflow, trained.rows.config.tracking)


def _latest(settings: Settings, name: str) -> int:
    versions = [path.name.partition("@")[2] for path in models_folder(settings).glob(f"{name}@*")]
    return max((int(version) for version in versions if version.isdigit()), default=0)
