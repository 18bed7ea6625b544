"""What a table promises: one YAML file, validated into a typed `TableSpec`. No pandas here: `data.tabular.table` reads tables.

spec = load_spec("claims")             # a shipped one: data/tabular/tables/claims.yaml, or the path of any YAML
frame = load_checked(spec)             # data.tabular.contract: read, dtypes settled, every promise checked

Decided here, for all that build on it: a column has one of five kinds and each kind has one dtype (`data.tabular.table`);
`spec.features` is what a model may see, in this order: never the target, the id, the time, the group or when the label is known.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from data.errors import InvalidInput, NotFound

ROOT = Path(__file__).parents[2]
TABLES = Path(__file__).parent / "tables"

Kind = Literal["number", "integer", "category", "boolean", "date"]
DatePart = Literal["year", "quarter", "month", "day", "weekday", "hour"]
Cell = bool | int | float | str


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Column(_Strict):
    kind: Kind
    """number: float64. integer: int64, or float64 of whole numbers where nullable. category: `category` of strings. boolean: bool, or `boolean` where nullable. date: datetime64[ns], UTC without a zone."""
    description: str = ""
    """What the value says, in one line."""
    nullable: bool = False
    """Whether a value may be missing."""
    missing: tuple[str, ...] = ()
    """Words that mean missing in this column, such as "?". An empty cell always does."""
    low: float | None = None
    """The lowest value allowed (number, integer)."""
    high: float | None = None
    """The highest value allowed (number, integer)."""
    earliest: datetime | None = None
    """The first moment allowed (date), in UTC."""
    latest: datetime | None = None
    """The last moment allowed (date), in UTC."""
    values: tuple[str, ...] = ()
    """The closed list of a category's values; empty where it is open."""
    is_feature: bool = True
    """Whether a model may see it. The target, the id, the time, the group and `known_at` are never features."""
    parts: tuple[DatePart, ...] = ()
    """Parts of a date that become features."""
    age_at: str = ""
    """Another date column: the days from this date to that one become a feature."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "Column":
        wrong = [
            name
            for name, kinds in _ONLY_FOR.items()
            if self.kind not in kinds and getattr(self, name) != type(self).model_fields[name].default
        ]
        told = [f"{' and '.join(wrong)} mean nothing for a {self.kind}; remove them."] if wrong else []
        if self.low is not None and self.high is not None and self.low > self.high:
            told.append(f"low {self.low:g} is above high {self.high:g}; swap them.")
        if told:
            raise ValueError("\n".join(told))
        return self


_ONLY_FOR: dict[str, tuple[Kind, ...]] = {
    "low": ("number", "integer"),
    "high": ("number", "integer"),
    "earliest": ("date",),
    "latest": ("date",),
    "values": ("category",),
    "parts": ("date",),
    "age_at": ("date",),
}


class FileSource(_Strict):
    kind: Literal["csv", "parquet"]
    """The form of the files; csv may be gzipped."""
    paths: tuple[Path, ...] = Field(min_length=1)
    """Files with the same columns, read one after another. Relative ones start at the spec's folder, or else at the project."""
    labels: tuple[Path, ...] = ()
    """Files of the id and the target, for rows whose label came later."""


class ClaimsSource(_Strict):
    kind: Literal["claims"]
    """Made by `data.tabular.claims`: no file."""
    n_rows: int = Field(default=20_000, ge=1)
    """How many claims."""
    n_policies: int = Field(default=6_000, ge=1)
    """How many policies they are made against."""
    n_months: int = Field(default=24, ge=1)
    """Months of incidents, from January 2024."""
    seed: int = 7
    """Equal seeds, equal tables."""
    drift: float = Field(default=0.0, ge=0)
    """How far amounts and channels have moved by the last month; 0 for none, 1 for clearly."""
    concept_shift: float = Field(default=0.0, ge=0)
    """How far what makes a fraud has changed by the last month; 0 for not at all."""
    bias: float = Field(default=0.0, ge=0)
    """How much likelier an honest claim of the group `sex=female` was labelled a fraud (log-odds); 0 for not at all."""
    missing: float = Field(default=0.06, ge=0, le=0.9)
    """The share of missing values in the columns that may miss them."""
    correction: float = Field(default=0.08, ge=0, le=0.9)
    """The share of facts about policies that are corrected weeks after they were first written."""
    label_delay_days: float = Field(default=45.0, ge=0)
    """The mean of the days from a claim to its label."""


Source = Annotated[FileSource | ClaimsSource, Field(discriminator="kind")]


class Protected(_Strict):
    privileged: tuple[str, ...] = ()
    """The values of the group that is favoured (category, boolean as "true"/"false")."""
    low: float | None = None
    """Or, for numbers: privileged from this value on,"""
    high: float | None = None
    """up to this one."""

    @model_validator(mode="after")
    def _says_who(self) -> "Protected":
        if bool(self.privileged) == (self.low is not None or self.high is not None):
            raise ValueError("name either the privileged values or a low or high bound")
        return self


class Freshness(_Strict):
    max_age_days: float = Field(gt=0)
    """How old the newest row may be, by the `time` column."""
    severity: Literal["critical", "warning"] = "warning"
    """Whether an older table stops a run."""


class Quality(_Strict):
    """What Great Expectations checks on top of the contract (`data.tabular.quality`)."""

    min_rows: int = Field(default=1, ge=0)
    """Fewer rows are critical."""
    max_rows: int | None = None
    """More rows are a warning."""
    max_missing_share: dict[str, float] = {}
    """By column: a greater share of missing values is a warning; above twice it, critical."""
    mean_between: dict[str, tuple[float, float]] = {}
    """By number column: a mean outside is a warning."""
    share_of_value: dict[str, dict[str, tuple[float, float]]] = {}
    """By category column and value: a share outside is a warning."""
    freshness: Freshness | None = None
    """How fresh the table must be."""
    critical: tuple[str, ...] = ()
    """Columns whose distribution and completeness findings are critical and not warnings."""


class TableSpec(_Strict):
    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    """Lower-case letters, digits, - and _: the name of data set, feature view and results."""
    description: str = ""
    """What one row is, in one line."""
    source: Source
    """Where the rows come from."""
    columns: dict[str, Column] = Field(min_length=1)
    """Every column the table has, in the order of the features. Others are refused, unless named in `dropped`."""
    dropped: dict[str, str] = {}
    """Columns of the files that are left out, each with the reason: unknown when deciding, identifies people, a copy."""
    target: str = ""
    """The column to predict; empty for a table without one."""
    positive: str = ""
    """The value of the target that counts as 1 (as text: "Yes", "1", "true")."""
    favourable: Literal["positive", "negative"] = "positive"
    """Which decision is good for the person it is about: a loan is, a suspicion of fraud is not. Fairness measures look at it."""
    id: str = ""
    """The column that names a row; unique."""
    time: str = ""
    """When the row's decision is taken (date, integer or number): time-aware splits, freshness, joins."""
    group: str = ""
    """Rows of one group never stand on both sides of a split."""
    known_at: str = ""
    """The date column that says when the label became known."""
    label_delay_days: float | None = Field(default=None, ge=0)
    """Or, without such a column, how many days after `time` labels are known."""
    protected: dict[str, Protected] = {}
    """Protected attributes and who is privileged."""
    quality: Quality = Quality()
    """Completeness, freshness, distribution, volume."""

    @property
    def features(self) -> tuple[str, ...]:
        """The columns a model may see, in the order of `columns`."""
        roles = {self.target, self.id, self.time, self.group, self.known_at}
        return tuple(name for name, column in self.columns.items() if column.is_feature and name not in roles)

    @model_validator(mode="after")
    def _names_what_it_has(self) -> "TableSpec":
        if wrong := list(_wrong_names(self)):
            raise ValueError("\n".join(wrong))
        return self


def load_spec(name: str | Path) -> TableSpec:
    """Read a spec by a shipped table's name or by path. Raises: NotFound; InvalidInput with every error at once."""
    path = _found(name)
    try:
        given = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not YAML: {error}", field="table") from error
    return located(parse_spec(given, str(path)), path.parent)


def located(spec: TableSpec, beside: Path) -> TableSpec:
    """The spec with its files' paths made absolute: relative ones start at `beside`, or else at the project."""
    if not isinstance(spec.source, FileSource):
        return spec
    found = {
        field: tuple(_located(one, beside) for one in getattr(spec.source, field)) for field in ("paths", "labels")
    }
    return spec.model_copy(update={"source": spec.source.model_copy(update=found)})


def parse_spec(given: Any, origin: str = "the table's spec") -> TableSpec:
    """Validate a mapping. Raises: InvalidInput with every error at once."""
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{origin} must be a mapping, not {type(given).__name__}.", field="table")
    try:
        return TableSpec.model_validate(given)
    except ValidationError as error:
        problems = error.errors()
        lines = [line for problem in problems for line in _edits(problem)]
        if all(problem["loc"] for problem in problems):  # the check of names runs only when all else is right
            lines += _absent_names(given)
        told = [f"  {line}" for line in lines]
        raise InvalidInput(
            f"{origin} has {len(told)} error{'s' * (len(told) > 1)}:\n" + "\n".join(told),
            field="table",
            next_step="\nEdit the file; docs/tables.md lists the fields.",
        ) from error


def known_tables() -> list[Path]:
    return sorted(TABLES.glob("*.yaml"))


def _found(name: str | Path) -> Path:
    path, shipped = Path(name), TABLES / f"{name}.yaml"
    if path.is_file():
        return path
    if len(path.parts) == 1 and shipped.is_file():
        return shipped
    raise NotFound(
        f"There is no table {str(name)!r}.",
        next_step=f"Name a YAML file, or one of {', '.join(p.stem for p in known_tables())}; "
        "assay data profile FILE drafts one.",
    )


def _located(path: Path, beside: Path) -> Path:
    local = (beside / path).resolve()
    return local if local.exists() else (ROOT / path).resolve()


def _wrong_names(spec: TableSpec) -> Iterator[str]:
    """Roles and rules that name a column which is not there, is of the wrong kind, or contradict one another."""
    yield from _absent_names(spec.model_dump(exclude_unset=True))
    has = {name: column.kind for name, column in spec.columns.items()}
    for where, name in _named(spec.model_dump(exclude_unset=True)):
        kinds = _KINDS_OF.get(where.rpartition(".")[2] if where.endswith(".age_at") else where)
        if kinds and name in has and has[name] not in kinds:
            yield f"{where}: {name!r} is a {has[name]}; it must be a {' or '.join(kinds)}."
    if both := sorted(set(has) & set(spec.dropped)):
        yield f"dropped: {', '.join(both)} stand in `columns` too; leave one."
    if bool(spec.target) != bool(spec.positive):
        yield "target and positive: give both, or neither."
    if spec.known_at and spec.label_delay_days is not None:
        yield "known_at and label_delay_days: give one of them."
    if spec.quality.freshness and has.get(spec.time) != "date":
        yield "quality.freshness: needs `time` to be a date column."
    allowed = spec.columns[spec.target].values if spec.target in has else ()
    if allowed and spec.positive not in allowed:
        yield f"positive: {spec.positive!r} is none of the target's values: {', '.join(allowed)}."


_ROLES = ("target", "id", "time", "group", "known_at")
_RULES = ("max_missing_share", "mean_between", "share_of_value", "critical")
_KINDS_OF: dict[str, tuple[Kind, ...]] = {
    "time": ("number", "integer", "date"),
    "known_at": ("date",),
    "age_at": ("date",),
    "quality.mean_between": ("number", "integer"),
    "quality.share_of_value": ("category", "boolean"),
}


def _absent_names(given: Mapping[str, Any]) -> list[str]:
    """Names of columns that are not there, of a mapping that may be wrong in other ways."""
    columns = given.get("columns")
    has = [str(name) for name in columns] if isinstance(columns, Mapping) else []
    told = []
    for where, name in _named(given):
        if name not in has:
            near = get_close_matches(name, has, n=1)
            told.append(f"{where}: there is no column {name!r}." + (f" Write `{near[0]}`?" if near else ""))
    return told


def _named(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where a column is named, and how."""
    columns, quality = given.get("columns"), given.get("quality")
    places: list[tuple[str, Any]] = [(role, [given.get(role)]) for role in _ROLES]
    if isinstance(columns, Mapping):
        places += [(f"columns.{n}.age_at", [c.get("age_at")]) for n, c in columns.items() if isinstance(c, Mapping)]
    places.append(("protected", given.get("protected")))
    if isinstance(quality, Mapping):
        places += [(f"quality.{rule}", quality.get(rule)) for rule in _RULES]
    for where, names in places:
        if isinstance(names, Mapping | list | tuple):
            yield from ((where, name) for name in names if isinstance(name, str) and name)


def _edits(problem: Any) -> Iterator[str]:
    key = ".".join(str(part) for part in problem["loc"] if part not in ("csv", "parquet", "claims") or part == "source")
    lead = f"{key}: " if key else ""
    match problem["type"]:
        case "missing":
            yield f"{lead}is missing."
        case "extra_forbidden":
            yield f"{lead}there is no such field. Remove it."
        case "value_error":
            yield from (f"{lead}{line}" for line in str(problem["ctx"]["error"]).splitlines())
        case _:
            yield f"{lead}{problem['input']!r} is not allowed: {problem['msg']}."
