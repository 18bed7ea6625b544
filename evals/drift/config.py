"""A watch is one YAML file: what is compared with what, how often, and how many false alarms it may give. Knows no statistic.

config = load_watch("questions")     # evals/drift/configs/questions.yaml; a path works as well
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from data.errors import InvalidInput, NotFound
from evals.drift.budget import AlarmBudget

CONFIGS = Path(__file__).parent / "configs"
Stream = Literal["novelty", "similarity", "abstained", "unsupported", "latency"]
ColumnEffect = Literal["js", "psi", "ks", "wasserstein", "chi2"]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class BudgetSpec(Part):
    """At most so many false alarms in so many days, in expectation, over all monitors of this watch."""

    false_alarms: float = Field(1.0, gt=0)
    """How many."""
    days: float = Field(30.0, gt=0)
    """In how many days."""

    @property
    def budget(self) -> AlarmBudget:
        return AlarmBudget(self.false_alarms, self.days)


class Alarming(Part):
    """When an alarm is believed, and when it is over."""

    confirm_after: int = Field(2, ge=1)
    """Windows that must alarm before an alarm is confirmed; a person may confirm it earlier."""
    close_after: int = Field(2, ge=1)
    """Quiet windows in a row after which it is closed."""
    suite_size: int = Field(40, ge=1)
    """The most samples of a generated suite."""


class _Watch(Part):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """How commands and the dashboard call it."""
    description: str = ""
    """One sentence."""
    budget: BudgetSpec = BudgetSpec()
    """The alarm budget."""
    alarms: Alarming = Alarming()
    """Confirmation, closing, suites."""
    least: dict[str, float] = {}
    """The least effect that matters, by monitor (`embedding.mmd`, `column.age`), in place of the built-in one."""
    min_rows: int = Field(50, ge=10)
    """With fewer rows in the window or in the reference nothing is decided."""
    evidently: bool = True
    """Whether evidently's report is written beside ours, where evidently is installed."""


class RequestReference(Part):
    """The requests that are taken to be right."""

    days: float = Field(28, gt=0)
    """How many days,"""
    until: datetime | None = None
    """up to this moment (UTC); without it, up to the beginning of each window: then slow drift is followed and not found."""


class RequestSpan(Part):
    days: float = Field(7, gt=0)
    """How long a window is."""


class KnowledgeSpec(Part):
    """The knowledge base that questions are compared with."""

    is_watched: bool = True
    """Whether questions are compared with chunks, and the index's health is looked at."""
    far_quantile: float = Field(0.05, gt=0, lt=0.5)
    """A question is far from every chunk where it is farther than this share of the reference's questions."""
    stale_days: float = Field(365, gt=0)
    """A document is stale when it is older than that and its source has changed or is gone."""
    canaries: str = ""
    """A suite of questions with known citations (name or path) that is asked at each check; empty for none."""
    canary_k: int = Field(10, ge=1)
    """Recall is measured among so many chunks."""
    canary_loss: float = Field(0.1, gt=0, le=1)
    """A fall of recall by more than this alarms."""


class LanguageWatch(_Watch):
    """Questions, answers and the knowledge base, out of the request log."""

    kind: Literal["language"] = "language"
    tenant: str = ""
    """Only this tenant's requests."""
    collection: str = ""
    """Only requests to this collection."""
    reference: RequestReference = RequestReference()
    """What is right."""
    window: RequestSpan = RequestSpan()
    """What is looked at."""
    effects: tuple[Literal["classifier", "mmd", "centroid", "frechet"], ...] = ("classifier", "mmd", "frechet")
    """How embeddings are compared; each takes its part of the budget."""
    streams: tuple[Stream, ...] = ("novelty", "similarity", "unsupported", "latency")
    """What is watched request by request, by sequential detectors; `unsupported` counts abstentions too."""
    knowledge: KnowledgeSpec = KnowledgeSpec()
    """The knowledge base."""


class Slice(Part):
    """Some rows of the table."""

    where: dict[str, tuple[str | int | float | bool, ...]] = {}
    """Rows whose column has one of these values: {year: [2015]}."""
    since: datetime | None = None
    """Rows whose `time` (a date) is not before this."""
    until: datetime | None = None
    """Rows whose `time` is before this."""
    rows: tuple[int, int] | None = None
    """Rows by their place, from 0: [first, end)."""
    path: Path | None = None
    """Another file of the same columns, relative to this file's folder."""


class TableWindow(Part):
    days: float = Field(7, gt=0)
    """How often there is a window: what the budget is shared out by."""
    rows: int = Field(0, ge=0)
    """In a replay: windows of so many rows; 0 for windows of so many days by `time`, or one per value where it is no date."""


class TabularWatch(_Watch):
    """One table, its predictions and their performance."""

    kind: Literal["tabular"] = "tabular"
    table: str
    """The spec of the table: a shipped one's name (assay data list) or a path."""
    reference: Slice = Slice()
    """What is right."""
    current: Slice = Slice()
    """What is looked at."""
    window: TableWindow = TableWindow()
    """How often."""
    columns: tuple[str, ...] = ()
    """Only these columns; all features where none is named."""
    ignore: tuple[str, ...] = ()
    """Columns that are not watched."""
    number_effect: ColumnEffect = "js"
    """What decides for numbers; the others are measured beside it."""
    word_effect: ColumnEffect = "js"
    """What decides for categories."""
    score: str = ""
    """The column with the model's probability of the positive value; empty where there is none."""
    threshold: float = Field(0.5, ge=0, le=1)
    """The score from which on the model says yes."""
    loss: Literal["accuracy", "roc_auc"] = "accuracy"
    """What harm is counted in, where there are scores."""

    @model_validator(mode="after")
    def _knows_its_columns(self) -> "TabularWatch":
        if both := sorted(set(self.columns) & set(self.ignore)):
            raise ValueError(f"{', '.join(both)} stand in columns and in ignore; leave one.")
        return self


Watch = Annotated[LanguageWatch | TabularWatch, Field(discriminator="kind")]
AnyWatch = LanguageWatch | TabularWatch
_READ = TypeAdapter(Watch)


def load_watch(name: str | Path) -> AnyWatch:
    """Read a watch by name or path. Raises: NotFound; InvalidInput with every error at once."""
    path = _found(name)
    try:
        given = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not YAML: {error}", field="config") from error
    watch = parse_watch(given, str(path))
    if isinstance(watch, TabularWatch):
        changes: dict[str, Any] = {
            side: located.model_copy(update={"path": (path.parent / located.path).resolve()})
            for side, located in (("reference", watch.reference), ("current", watch.current))
            if located.path is not None
        }
        if (path.parent / watch.table).is_file():
            changes["table"] = str((path.parent / watch.table).resolve())
        return watch.model_copy(update=changes)
    return watch


def parse_watch(given: Any, origin: str = "the watch") -> AnyWatch:
    """Validate a mapping. Raises: InvalidInput with every error at once."""
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{origin} must be a mapping, not {type(given).__name__}.", field="config")
    try:
        return _READ.validate_python(given)
    except ValidationError as error:
        told = [f"  {line}" for line in _edits(error)]
        raise InvalidInput(
            f"{origin} has {len(told)} error{'s' * (len(told) > 1)}:\n" + "\n".join(told),
            field="config",
            next_step="\nEdit the file; docs/drift.md lists the fields.",
        ) from error


def known_watches() -> list[Path]:
    return sorted(CONFIGS.glob("*.yaml"))


def _found(name: str | Path) -> Path:
    path, shipped = Path(name), CONFIGS / f"{name}.yaml"
    if path.is_file():
        return path
    if len(path.parts) == 1 and shipped.is_file():
        return shipped
    raise NotFound(
        f"There is no watch {str(name)!r}.",
        next_step=f"Name a YAML file, or one of {', '.join(p.stem for p in known_watches())}.",
    )


def _edits(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"] if part not in ("language", "tabular")) or "config"
        match problem["type"]:
            case "missing":
                yield f"{key}: is missing."
            case "extra_forbidden":
                yield f"{key}: there is no such field. Remove it."
            case "union_tag_not_found" | "union_tag_invalid":
                yield "kind: must be language or tabular."
            case "value_error":
                yield f"{key}: {problem['ctx']['error']}"
            case _:
                yield f"{key}: {problem['input']!r} is not allowed: {problem['msg']}."
