"""A training run of a tabular model is one YAML file, validated into a typed `TrainConfig`. Imports nothing heavy.

config = load_config(Path("finetune/tabular/configs/claims.yaml"), ["search.trials=20", "models.0.params.max_depth=4"])
"""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data.errors import InvalidInput, NotFound
from data.tabular.features import FeatureConfig
from data.tabular.table_spec import TableSpec, load_spec, located, parse_spec
from finetune.recipe import overridden

CONFIGS = Path(__file__).parent / "configs"
ModelKind = Literal["logistic_regression", "random_forest", "xgboost"]
Metric = Literal["pr_auc", "roc_auc", "log_loss", "brier"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SplitConfig(_Strict):
    by: Literal["random", "group", "time"] = "random"
    """random: classes in equal shares. group: rows of one `group` of the table stay together. time: the newest rows are held out."""
    test: float = Field(default=0.2, gt=0, lt=0.9)
    """The share of rows held out: no model, calibration or threshold sees them."""
    folds: int = Field(default=5, ge=2, le=20)
    """Parts of the other rows, each scored by models of the others: for search, early stopping, calibration, threshold. By time, the first part is never scored."""
    groups: Literal["apart", "shared"] = "apart"
    """By time, in a table with groups: whether training rows of groups that come again later are left out."""
    label_known: bool = True
    """By time: training rows whose label was not known when the held-out part begins are left out, as they would have been then."""
    seed: int = 0
    """Who is held out."""


class ModelConfig(_Strict):
    kind: ModelKind
    """logistic_regression, random_forest or xgboost."""
    features: FeatureConfig = FeatureConfig()
    """How columns become features."""
    params: dict[str, float | int | str | bool] = {}
    """The library's own parameters, over the defaults of `finetune.tabular.models`."""
    max_rounds: int = Field(default=2000, ge=1)
    """xgboost: the most trees that early stopping may reach."""
    early_stopping: int = Field(default=50, ge=0)
    """xgboost: stop after so many rounds without a better fold; 0 always grows `max_rounds`."""
    bags: int = Field(default=1, ge=1, le=20)
    """xgboost: so many boosters from different seeds are grown and merged into one, whose margin is their mean."""
    monotone: dict[str, Literal["up", "down"]] = {}
    """xgboost: number columns that may only raise (up) or lower (down) the score as they rise."""


class Range(_Strict):
    low: float
    """The lowest value tried."""
    high: float
    """The highest value tried."""
    log: bool = False
    """Whether orders of magnitude are as likely."""
    whole: bool = False
    """Whether only whole numbers are tried."""

    @model_validator(mode="after")
    def _is_one(self) -> "Range":
        if self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(f"low {self.low:g} must lie below high {self.high:g}" + (" and above 0" * self.log))
        return self


class SearchConfig(_Strict):
    trials: int = Field(default=0, ge=0)
    """Trials for each model in all, those of an interrupted search included; 0 searches nothing."""
    storage: str = ""
    """Where trials are kept, as an SQLAlchemy URL; empty for SQLite at var/optuna.db."""
    study: str = ""
    """The study's name; empty for one made of config and data, so that the same run goes on and another begins anew."""
    workers: int = Field(default=1, ge=1, le=64)
    """Trials at a time. With one, equal seeds give equal trials. More processes may join: run the command again beside it."""
    prune: bool = True
    """Whether a trial ends early when its first folds are worse than the median of the others'."""
    timeout_s: float | None = Field(default=None, gt=0)
    """No trial begins after so many seconds."""
    seed: int = 0
    """Of the sampler (TPE)."""
    space: dict[ModelKind, dict[str, Range | list[float | int | str | bool]]] = {}
    """By kind of model and parameter: a range or a list of values, instead of the default of `finetune.tabular.search`."""


class CalibrationConfig(_Strict):
    kind: Literal["auto", "none", "platt", "isotonic"] = "auto"
    """auto: isotonic from 1000 positives on in the folds, else Platt."""


class ThresholdConfig(_Strict):
    by: Literal["cost", "f1", "precision", "recall", "share", "fixed"] = "cost"
    """cost: the cheapest by `false_positive` and `false_negative`. precision or recall: the best of the other that keeps `at_least`. share: so many positives."""
    false_positive: float = Field(default=1.0, gt=0)
    """What a false alarm costs."""
    false_negative: float = Field(default=1.0, gt=0)
    """What a missed positive costs."""
    at_least: float = Field(default=0.5, gt=0, le=1)
    """The precision or recall that is kept."""
    share: float = Field(default=0.1, gt=0, lt=1)
    """The share of rows that is decided positive."""
    value: float = Field(default=0.5, ge=0, le=1)
    """The fixed threshold."""


class FairnessConfig(_Strict):
    required: bool = False
    """Whether only a model that is fair enough in the folds may be kept; where none is, the run fails."""
    attributes: tuple[str, ...] = ()
    """Protected attributes that are looked at; empty for all of the table's."""
    max_difference: float = Field(default=0.1, ge=0)
    """How far rates of two groups may differ: statistical parity, equal opportunity, average odds."""
    impact: tuple[float, float] = (0.8, 1.25)
    """Between what disparate impact must lie."""
    min_rows: int = Field(default=30, ge=1)
    """Groups with fewer rows of either label are too small to pass."""


class TrackingConfig(_Strict):
    enabled: bool = True
    """Whether the run goes to MLflow."""
    experiment: str = "assay-tabular"
    """The experiment of the run."""
    alias: str = "challenger"
    """The alias that the registered version gets; empty for none."""


class CardConfig(_Strict):
    intended_use: str = ""
    """What the model is for, and who decides with it."""
    limits: str = ""
    """What it must not be used for."""
    licence: str = "unknown"
    """SPDX id of the model, which follows that of its data."""


class TrainConfig(_Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    """The model's name: lower-case letters, digits, - and _."""
    description: str = ""
    """One line for people."""
    table: str | dict[str, Any]
    """A shipped table's name, the path of a spec (relative to this file, or else to the project), or a spec written here."""
    quality: bool = True
    """Whether Great Expectations' critical findings stop the run; the contract always does."""
    rows: int | None = Field(default=None, ge=50)
    """Only the first so many rows."""
    target_metric: Metric = "pr_auc"
    """What search, choice and early stopping look at."""
    models: Annotated[tuple[ModelConfig, ...], Field(min_length=1)] = (ModelConfig(kind="xgboost"),)
    """Candidates. All are trained; the best in the folds (and fair, where that is asked) is kept."""
    balance: Literal["none", "balanced"] = "none"
    """balanced: both classes weigh the same while training; calibration takes the distortion back out."""
    reweigh: str = ""
    """A protected attribute whose groups are reweighed so that label and group are independent while training; empty for none."""
    split: SplitConfig = SplitConfig()
    """Who is held out."""
    search: SearchConfig = SearchConfig()
    """The search for parameters."""
    calibration: CalibrationConfig = CalibrationConfig()
    """Scores to probabilities."""
    threshold: ThresholdConfig = ThresholdConfig()
    """Probabilities to decisions."""
    fairness: FairnessConfig = FairnessConfig()
    """Which groups are compared, and whether the comparison decides."""
    reference_rows: int = Field(default=2000, ge=0)
    """Held-out rows kept with the model, without ids and with groups numbered anew, for drift and explanations; 0 for none."""
    threads: int = Field(default=0, ge=0)
    """Threads in all; 0 for one per core. Folds are fitted side by side. Equal seeds and threads give equal models."""
    seed: int = 0
    """Of the models."""
    tracking: TrackingConfig = TrackingConfig()
    """MLflow."""
    card: CardConfig = CardConfig()
    """For the model card."""

    @model_validator(mode="after")
    def _fits(self) -> "TrainConfig":
        wrong = [
            f"models.{at}.{field}: only xgboost has it; remove it."
            for at, model in enumerate(self.models)
            for field in ("max_rounds", "early_stopping", "bags", "monotone")
            if model.kind != "xgboost" and field in model.model_fields_set
        ]
        wrong += [
            f"models.{at}.features.encoding: codes are for xgboost; a {model.kind} reads them as quantities. Remove it."
            for at, model in enumerate(self.models)
            if model.kind != "xgboost" and model.features.encoding == "codes"
        ]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self


class Loaded(_Strict):
    """A config and the table it names."""

    config: TrainConfig
    spec: TableSpec


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Loaded:
    """By path or a shipped config's name. Raises: NotFound, and InvalidInput with every error at once, the table's too."""
    found = _found(path)
    try:
        given = yaml.safe_load(found.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{found} is not YAML: {error}", field="config") from error
    if not isinstance(given, dict):
        raise InvalidInput(f"{found} must be a mapping, not {type(given).__name__}.", field="config")
    return parse_config(overridden(given, overrides), str(found), found.parent)


def parse_config(given: dict[str, Any], origin: str = "the config", beside: Path = CONFIGS) -> Loaded:
    """Validate a mapping. Raises: InvalidInput with every error at once."""
    lines: list[str] = []
    config = spec = None
    try:
        config = TrainConfig.model_validate(given)
    except ValidationError as error:
        problems = error.errors()
        lines += [line for one in problems if not _follows(one, problems) for line in _edits(one)]
    try:
        spec = _spec(given.get("table"), beside)
    except (InvalidInput, NotFound) as error:
        lines += [f"table: {line}" for line in f"{error.message} {error.next_step}".strip().splitlines()]
    if spec:
        lines += _unfit(config, given, spec)
    if lines or not config or not spec:
        raise InvalidInput(
            f"{origin} has {len(lines)} error{'s' * (len(lines) > 1)}:\n" + "\n".join(f"  {line}" for line in lines),
            field="config",
            next_step="\nEdit the file, or override on the command line: key.field=value. docs/tabular-models.md lists the fields.",
        )
    return Loaded(config=config, spec=spec)


def known_configs() -> list[Path]:
    return sorted(CONFIGS.glob("*.yaml"))


def _found(path: str | Path) -> Path:
    given, shipped = Path(path), CONFIGS / f"{path}.yaml"
    if given.is_file():
        return given
    if len(given.parts) == 1 and shipped.is_file():
        return shipped
    raise NotFound(
        f"There is no config {str(path)!r}.",
        next_step=f"Name a YAML file, or one of {', '.join(p.stem for p in known_configs())}.",
    )


def _spec(table: Any, beside: Path) -> TableSpec | None:
    if isinstance(table, Mapping):
        return located(parse_spec(table, "the spec written in the config"), beside)
    if not isinstance(table, str) or not table:
        return None  # the config's own errors say so
    local = beside / table
    return load_spec(local if local.is_file() else table)


def _unfit(config: TrainConfig | None, given: Mapping[str, Any], spec: TableSpec) -> Iterator[str]:
    """What the config asks of the table and the table has not."""
    if not spec.target:
        yield f"table: {spec.name} has no target, so there is nothing to learn. Give `target` and `positive`."
    split = given.get("split")
    by = split.get("by") if isinstance(split, Mapping) else None
    if by in ("group", "time") and not getattr(spec, by):
        yield f"split.by: {spec.name} has no `{by}` column. Name one in its spec, or write random."
    reweigh = given.get("reweigh")
    if isinstance(reweigh, str) and reweigh and reweigh not in spec.protected:
        yield f"reweigh: {reweigh!r} is not protected in {spec.name}; there are: {', '.join(spec.protected) or 'none'}."
    fairness = given.get("fairness")
    for name in fairness.get("attributes") or () if isinstance(fairness, Mapping) else ():
        if name not in spec.protected:
            known = ", ".join(spec.protected) or "none"
            yield f"fairness.attributes: {name!r} is not protected in {spec.name}; there are: {known}."
    for at, model in enumerate(config.models if config else ()):
        for name in model.features.columns:
            if name not in spec.features:
                near = get_close_matches(name, spec.features, n=1)
                hint = f" Write `{near[0]}`?" if near else ""
                yield f"models.{at}.features.columns: {name!r} is no feature of {spec.name}.{hint}"


def _follows(problem: Any, problems: Sequence[Any]) -> bool:
    """pydantic leaves out what is wrong, then finds too little."""
    loc = problem["loc"]
    return problem["type"] == "too_short" and any(loc == one["loc"][: len(loc)] != one["loc"] for one in problems)


def _edits(problem: Any) -> Iterator[str]:
    key = ".".join(str(part) for part in problem["loc"] if part not in ("Range", "str", "dict[str,any]"))
    lead = f"{key}: " if key else ""
    match problem["type"]:
        case "missing":
            yield f"{lead}is missing."
        case "extra_forbidden":
            yield f"{lead}there is no such field. {_instead(problem['loc'])}"
        case "value_error":
            yield from (f"{lead}{line}" for line in str(problem["ctx"]["error"]).splitlines())
        case _:
            yield f"{lead}{problem['input']!r} is not allowed: {problem['msg']}."


def _instead(loc: Sequence[Any]) -> str:
    model: Any = TrainConfig
    for part in loc[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        inner = getattr(field, "annotation", model if isinstance(part, int) else None)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
        elif part == "models":
            model = ModelConfig
    fields = list(getattr(model, "model_fields", {}))
    near = get_close_matches(str(loc[-1]), fields, n=1, cutoff=0.6)
    return f"Rename it to `{near[0]}`." if near else f"Remove it; there are: {', '.join(fields)}."
