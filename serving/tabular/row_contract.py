"""Rows of a request against the contract of their table: a pydantic model made from the spec, every wrong field named. Knows no model and no HTTP.

contract = RowContract(model.spec, model.features.columns)
contract.check(rows)                          # raises RowsRefused with all problems, by row and field

A request is typed: a string is no number, unlike in a csv file. NaN and infinity are refused even where a value may miss: send
null, or leave the field out. What the features read must be there; the table's other columns (id, protected attributes) may be.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Optional

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from data.errors import InvalidInput
from data.tabular.cells import FALSE, TRUE, plain, text_of
from data.tabular.table import allowed
from data.tabular.table_spec import Column, TableSpec

Row = Mapping[str, Any]
MAX_TEXT_CHARS = 1000
MAX_TOLD = 10
MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII)
"""What both `datetime.fromisoformat` and pandas read, and read alike."""
EARLIEST, LATEST = datetime(1678, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC)
"""What nanoseconds in 64 bits can hold."""


@dataclass(frozen=True)
class RowProblem:
    """One field of one row that breaks the contract."""

    row: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"row {self.row}, {self.field}: {self.message}"


class RowsRefused(InvalidInput):
    """`problems` are all wrong fields of all rows; the message shows the first ten."""

    code = "rows_refused"

    def __init__(self, table: str, problems: Sequence[RowProblem], n_rows: int) -> None:
        told = "; ".join(str(p) if n_rows > 1 else f"{p.field}: {p.message}" for p in problems[:MAX_TOLD])
        more = f"; and {len(problems) - MAX_TOLD} more" if len(problems) > MAX_TOLD else ""
        super().__init__(
            f"The rows break the contract of {table}: {told}{more}.",
            field=problems[0].field if problems else "",
            next_step="Mend the fields named; /v1/models/MODEL/schema says what each may hold.",
        )
        self.problems = tuple(problems)


class RowContract:
    """Built once for a model; `check` costs about a microsecond per field."""

    def __init__(self, spec: TableSpec, needed: Sequence[str]) -> None:
        self.table = spec.name
        self._columns = spec.columns
        self._needed = frozenset(needed)
        self.row_model = _row_model(spec, self._needed)
        self._validate = self.row_model.__pydantic_validator__.validate_python

    def check(self, rows: Sequence[Row]) -> None:
        """Raises: RowsRefused."""
        problems: list[RowProblem] = []
        for at, row in enumerate(rows):
            try:
                self._validate(row)
            except ValidationError as error:
                problems += [self._problem(at, one) for one in error.errors(include_url=False, include_context=False)]
        if problems:
            raise RowsRefused(self.table, problems, len(rows))

    def json_schema(self) -> dict[str, Any]:
        """What a row may hold, as JSON Schema."""
        return self.row_model.model_json_schema(by_alias=True)

    def _problem(self, row: int, error: Any) -> RowProblem:
        field = str(error["loc"][0]) if error["loc"] else "row"
        column = self._columns.get(field)
        if column is None:
            return RowProblem(row, field, self._unknown(field, error))
        if error["type"] == "missing":
            return RowProblem(row, field, f"is missing; it must be {allowed(column)}")
        value = error["input"]
        if isinstance(value, float) and not math.isfinite(value):
            return RowProblem(row, field, f"{value} is not finite; it must be {allowed(column)}")
        told = repr(plain(value))
        return RowProblem(row, field, f"{told[:100]} is not {allowed(column)}")

    def _unknown(self, field: str, error: Any) -> str:
        if error["type"] != "extra_forbidden":
            return "a row is a JSON object of column names and values"
        near = get_close_matches(field, self._columns, n=1)
        return f"{self.table} has no such column" + (f"; is it {near[0]}?" if near else "; leave it out")


def _row_model(spec: TableSpec, needed: frozenset[str]) -> type[BaseModel]:
    """Fields are numbered and aliased: a column may be called anything, `schema` or `model_config` too."""
    fields: dict[str, Any] = {}
    for at, (name, column) in enumerate(spec.columns.items()):
        is_label = name in (spec.target, spec.known_at)
        required = name in needed and not column.nullable
        kind = _type_of(column)
        if not required:
            kind = Optional[kind]  # noqa: UP045  an Annotated type knows no `|` before it is one
        words = column.missing if required else ("", *column.missing)
        kind = Annotated[kind, BeforeValidator(_without_words(words))] if words else kind
        told = Field(alias=name, description=column.description)
        fields[f"column_{at}"] = (kind, told) if required else (kind, Field(None, **_described(name, column, is_label)))
    settings = ConfigDict(extra="forbid", title=spec.name, protected_namespaces=())
    return create_model(f"{spec.name}_row", __config__=settings, **fields)


def _described(name: str, column: Column, is_label: bool) -> dict[str, Any]:
    told = "Not used: it is what is predicted, or when that is known." if is_label else column.description
    return {"alias": name, "description": told}


def _type_of(column: Column) -> Any:
    bounds = Field(ge=column.low, le=column.high)
    match column.kind:
        case "number":
            return Annotated[float, Field(strict=True, allow_inf_nan=False), bounds]
        case "integer":
            return Annotated[int, Field(strict=True), bounds, BeforeValidator(_whole)]
        case "category" if column.values:
            return Annotated[Literal[column.values], BeforeValidator(_word)]
        case "category":
            return Annotated[str, Field(max_length=MAX_TEXT_CHARS), BeforeValidator(_word), AfterValidator(_storable)]
        case "boolean":
            return Annotated[bool, Field(strict=True), BeforeValidator(_truth)]
        case "date":
            return Annotated[datetime, BeforeValidator(_moment), AfterValidator(_within(column))]


def _without_words(missing: tuple[str, ...]) -> Callable[[Any], Any]:
    """A word that means missing is null."""
    words = frozenset(missing)

    def none_if_missing(value: Any) -> Any:
        return None if isinstance(value, str | int | float) and text_of(value) in words else value

    return none_if_missing


def _whole(value: Any) -> Any:
    """3.0 is a whole number, as tables with holes have them."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _word(value: Any) -> Any:
    """1, 1.0 and "1" are one word, as everywhere (`data.tabular.cells`)."""
    if isinstance(value, float) and not math.isfinite(value):
        return value
    if value == "":
        raise ValueError("an empty text is a missing value")
    return text_of(value) if isinstance(value, bool | int | float) else value


def _truth(value: Any) -> Any:
    word = value.lower() if isinstance(value, str) else text_of(value) if isinstance(value, int | float) else ""
    return True if word in TRUE else False if word in FALSE else value


def _moment(value: Any) -> Any:
    if not isinstance(value, str) or not MOMENT.fullmatch(value):
        raise ValueError("no ISO 8601 date")
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _within(column: Column) -> Callable[[datetime], datetime]:
    bounds = [one if one is None or one.tzinfo else one.replace(tzinfo=UTC) for one in (column.earliest, column.latest)]
    low, high = max(bounds[0] or EARLIEST, EARLIEST), min(bounds[1] or LATEST, LATEST)

    def within(moment: datetime) -> datetime:
        if not low <= moment <= high:
            raise ValueError("outside the bounds")
        return moment

    return within


def _storable(word: str) -> str:
    """Databases refuse NUL, UTF-8 half of a surrogate pair."""
    word.encode()
    if "\x00" in word:
        raise ValueError("holds the NUL character")
    return word
