"""One column to numbers, in bulk and for one row with the same bits. Frozen, plain JSON. Knows neither tables nor models.

Each encoder has `names`, `types`, `fill(frame, out)` in bulk and `for_row()` for one row. What both do with one value is
written once (`_scaled`, `date_part`) or in operations that IEEE 754 rounds alike for a scalar and an array: no logarithm, no sine.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from data.errors import InvalidInput
from data.tabular.cells import FALSE, TRUE, is_number, plain, text_of
from data.tabular.table_spec import DatePart

FLOAT32_MAX = float(np.finfo(np.float32).max)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY_S = 86_400
OTHER, MISSING = "(other)", "(missing)"

Row = Mapping[str, Any]
PutRow = Callable[[Row, list[float]], None]
"""Appends the features of one row."""


class _Encoder(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str
    missing: tuple[str, ...] = ()
    """Words that mean missing."""
    nullable: bool = False
    """Where it is not, a missing value is refused: the contract promised one."""

    def refuse(self, value: Any, allowed: str, row: int | None = None) -> InvalidInput:
        where = f"row {row}, " if row is not None else ""
        return InvalidInput(
            f"{where}{self.column}: {plain(value)!r} is not {allowed}.",
            field=self.column,
            next_step="Check rows against the contract before they are made features.",
        )

    def is_missing(self, value: Any) -> bool:
        if value is None or value is pd.NA or value is pd.NaT:
            return True
        if isinstance(value, str):
            return value == "" or value in self.missing
        if isinstance(value, np.datetime64):
            return bool(np.isnat(value))
        if isinstance(value, float | np.floating) and value != value:
            return True
        return bool(self.missing) and text_of(value) in self.missing


class Scale(BaseModel):
    """One quantity: (value - center) / scale; missing takes `fill`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    center: float = 0.0
    scale: float = 1.0
    fill: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray, *, scale: bool) -> "Scale":
        """Of the finite values, float64 [n]; mean 0 and deviation 1 afterwards."""
        if not len(values):
            return cls()
        fill = 2 * float(np.median(values / 2))  # of an even number it is a mean, and two huge values would overflow
        if not scale:
            return cls(fill=fill)
        with np.errstate(over="ignore", invalid="ignore"):
            center, spread = float(values.mean()), float(values.std())
        good = np.isfinite(center) and np.isfinite(spread) and spread > 0
        return cls(center=center, scale=spread, fill=fill) if good else cls(center=fill, fill=fill)

    def bulk(self, values: np.ndarray, is_missing: np.ndarray) -> np.ndarray:
        filled = np.where(is_missing, self.fill, values)
        with np.errstate(over="ignore"):
            return np.clip((filled - self.center) / self.scale, -FLOAT32_MAX, FLOAT32_MAX)

    def one(self) -> Callable[[float], float]:
        center, scale = self.center, self.scale

        def scaled(value: float) -> float:
            result = (value - center) / scale
            return min(max(result, -FLOAT32_MAX), FLOAT32_MAX)

        return scaled


class NumberEncoder(_Encoder):
    """Numbers, whole numbers, and booleans as 0 and 1."""

    kind: Literal["number"] = "number"
    is_boolean: bool = False
    scale: Scale = Scale()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.column, f"{self.column}:missing") if self.nullable else (self.column,)

    @property
    def types(self) -> tuple[str, ...]:
        return ("q",) * len(self.names)

    def values(self, cells: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """float64 [n] and bool [n]: the numbers and where there is none. Raises: InvalidInput."""
        kind = cells.dtype
        if pd.api.types.is_object_dtype(kind) or isinstance(kind, pd.CategoricalDtype | pd.StringDtype):
            values = np.array([self._number(value, row) for row, value in enumerate(cells)], dtype=np.float64)
        elif pd.api.types.is_numeric_dtype(kind):
            values = cells.to_numpy(dtype=np.float64, na_value=np.nan)
            if stands_for_missing := [float(word) for word in self.missing if is_number(word)]:
                values = np.where(np.isin(values, stands_for_missing), np.nan, values)
        else:
            raise self.refuse(cells.iloc[0] if len(cells) else kind, "a number", 0)
        is_missing = np.isnan(values)
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values))[0])
            raise self.refuse(float(values[row]), "finite", row)
        return values, is_missing

    def fill(self, frame: pd.DataFrame, out: np.ndarray) -> None:
        values, is_missing = self.values(frame[self.column])
        _refuse_missing(self, is_missing)
        out[:, 0] = self.scale.bulk(values, is_missing)
        if self.nullable:
            out[:, 1] = is_missing

    def for_row(self) -> PutRow:
        column, scaled, number, nullable = self.column, self.scale.one(), self._number, self.nullable
        filled, has_words = [scaled(self.scale.fill), 1.0], bool(self.missing)

        def put(row: Row, out: list[float]) -> None:
            value = row.get(column)
            if type(value) is not float or has_words:
                value = number(value, None)
            if value != value:
                if not nullable:
                    raise self.refuse(None, "given: this column may not miss values")
                out += filled
            elif value - value != 0:
                raise self.refuse(value, "finite")
            else:
                out.append(scaled(value))
                if nullable:
                    out.append(0.0)

        return put

    def _number(self, value: Any, row: int | None) -> float:
        if self.is_missing(value):
            return float("nan")
        if isinstance(value, int | float | np.number | np.bool_):
            return float(value)
        if self.is_boolean and isinstance(value, str):
            word = value.lower()
            if word in TRUE or word in FALSE:
                return float(word in TRUE)
        raise self.refuse(value, "true or false" if self.is_boolean else "a number", row)


class CategoryEncoder(_Encoder):
    """Words: one feature for each, or one code for the column. Then come (other) and, where nullable, (missing)."""

    kind: Literal["category"] = "category"
    values: tuple[str, ...]
    as_codes: bool = False

    @property
    def slots(self) -> tuple[str, ...]:
        return (*self.values, OTHER, MISSING) if self.nullable else (*self.values, OTHER)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.column,) if self.as_codes else tuple(f"{self.column}={slot}" for slot in self.slots)

    @property
    def types(self) -> tuple[str, ...]:
        return ("c",) if self.as_codes else ("q",) * len(self.slots)

    def codes(self, cells: pd.Series) -> np.ndarray:
        """int64 [n]: the place in `slots`. Raises: InvalidInput for a missing value where none may be."""
        code_of = {word: code for code, word in enumerate(self.values)}

        def code(word: Any) -> int:
            return -1 if self.is_missing(word) else code_of.get(text_of(word), len(self.values))

        if isinstance(cells.dtype, pd.CategoricalDtype):
            known = [*map(code, cells.cat.categories), -1]  # -1, no word, takes the last
            codes = np.array(known, dtype=np.int64)[cells.cat.codes.to_numpy()]
        else:  # pandas would take words for equal that differ after a null character
            codes = np.fromiter(map(code, cells.astype(object)), dtype=np.int64, count=len(cells))
        is_missing = codes < 0
        _refuse_missing(self, is_missing)
        return np.where(is_missing, len(self.values) + 1, codes)

    def fill(self, frame: pd.DataFrame, out: np.ndarray) -> None:
        codes = self.codes(frame[self.column])
        if self.as_codes:
            out[:, 0] = codes
        else:  # into zeros
            out[np.arange(len(codes)), codes] = 1.0

    def for_row(self) -> PutRow:
        n = len(self.slots)
        written = [[float(code)] if self.as_codes else [float(at == code) for at in range(n)] for code in range(n)]
        column, of_word, other = self.column, dict(zip(self.values, written, strict=False)), written[len(self.values)]
        of_missing = written[-1] if self.nullable else None
        missing = {"", *self.missing}

        def put(row: Row, out: list[float]) -> None:
            value = row.get(column)
            if type(value) is not str:
                value = "" if self.is_missing(value) else text_of(value)
            if value not in missing:
                out += of_word.get(value, other)
            elif of_missing is None:
                raise self.refuse(None, "given: this column may not miss values")
            else:
                out += of_missing

        return put


class DateEncoder(_Encoder):
    """A moment: its parts, and the days from it to another column's moment."""

    kind: Literal["date"] = "date"
    parts: tuple[DatePart, ...] = ()
    part_scales: tuple[Scale, ...] = ()
    age_at: str = ""
    age_missing: tuple[str, ...] = ()
    age_scale: Scale = Scale()

    @property
    def names(self) -> tuple[str, ...]:
        parts = tuple(f"{self.column}:{part}" for part in self.parts)
        age = (f"{self.column}:age_days",) if self.age_at else ()
        return parts + age + ((f"{self.column}:missing",) if self.nullable else ())

    @property
    def types(self) -> tuple[str, ...]:
        return ("q",) * len(self.names)

    def seconds(self, cells: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """int64 [n] since 1970 in UTC, rounded down, and bool [n] where there is no date. Raises: InvalidInput."""
        if pd.api.types.is_datetime64_any_dtype(cells.dtype):
            if isinstance(cells.dtype, pd.DatetimeTZDtype):
                cells = cells.dt.tz_convert(None)
            moments = cells.to_numpy(dtype="datetime64[ns]")
            is_missing = np.isnat(moments)
            return np.where(is_missing, 0, moments.view(np.int64) // 1_000_000_000), is_missing
        found = [self.second_of(value, row) for row, value in enumerate(cells.astype(object))]
        is_missing = np.array([one is None for one in found], dtype=bool)
        return np.array([one or 0 for one in found], dtype=np.int64), is_missing

    def second_of(self, value: Any, row: int | None = None) -> int | None:
        """The second of one cell since 1970 in UTC; None where it is missing."""
        try:
            if self.is_missing(value):
                return None
            if isinstance(value, pd.Timestamp):
                return int(value.value // 1_000_000_000)
            if isinstance(value, np.datetime64):
                return int(value.astype("datetime64[ns]").astype(np.int64) // 1_000_000_000)
            if isinstance(value, str):
                value = datetime.fromisoformat(value)
            if isinstance(value, date) and not isinstance(value, datetime):
                value = datetime(value.year, value.month, value.day)
            return _second(value)
        except (ValueError, AttributeError, TypeError) as error:
            raise self.refuse(value, "a date such as 2026-03-01T14:30:00", row) from error

    def fill(self, frame: pd.DataFrame, out: np.ndarray) -> None:
        seconds, is_missing = self.seconds(frame[self.column])
        _refuse_missing(self, is_missing)
        for at, (part, scale) in enumerate(zip(self.parts, self.part_scales, strict=True)):
            out[:, at] = scale.bulk(date_part(part, seconds).astype(np.float64), is_missing)
        if self.age_at:
            later, none_later = self._other().seconds(frame[self.age_at])
            out[:, len(self.parts)] = self.age_scale.bulk((later - seconds) / DAY_S, is_missing | none_later)
        if self.nullable:
            out[:, -1] = is_missing

    def for_row(self) -> PutRow:
        column, age_at, other, nullable = self.column, self.age_at, self._other(), self.nullable
        scaled = [
            (part, scale.one(), scale.one()(scale.fill))
            for part, scale in zip(self.parts, self.part_scales, strict=True)
        ]
        age, no_age = self.age_scale.one(), self.age_scale.one()(self.age_scale.fill)

        def put(row: Row, out: list[float]) -> None:
            second = self.second_of(row.get(column))
            if second is None and not nullable:
                raise self.refuse(None, "given: this column may not miss values")
            out += [
                filled if second is None else put_one(float(date_part(part, second)))
                for part, put_one, filled in scaled
            ]
            if age_at:
                later = None if second is None else other.second_of(row.get(age_at))
                out.append(no_age if later is None or second is None else age((later - second) / DAY_S))
            if nullable:
                out.append(float(second is None))

        return put

    def _other(self) -> "DateEncoder":
        return DateEncoder(column=self.age_at, missing=self.age_missing, nullable=True)


Encoder = Annotated[NumberEncoder | CategoryEncoder | DateEncoder, Field(discriminator="kind")]


def date_part(part: DatePart, seconds: Any) -> Any:
    """A part of a moment in UTC, of an int or an int64 array, by integer arithmetic alone; Monday is weekday 0.

    Years and days by Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    """
    days = seconds // DAY_S
    if part == "hour":
        return seconds % DAY_S // 3600
    if part == "weekday":
        return (days + 3) % 7
    shifted = days + 719_468
    era = shifted // 146_097
    day_of_era = shifted - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * day_of_year + 2) // 153
    if part == "day":
        return day_of_year - (153 * from_march + 2) // 5 + 1
    month = (from_march + 2) % 12 + 1
    if part == "year":
        return year_of_era + era * 400 + (month <= 2)
    return month if part == "month" else (month - 1) // 3 + 1


def _second(moment: datetime) -> int:
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // SECOND


def _refuse_missing(encoder: NumberEncoder | CategoryEncoder | DateEncoder, is_missing: np.ndarray) -> None:
    if not encoder.nullable and is_missing.any():
        raise encoder.refuse(None, "given: this column may not miss values", int(np.flatnonzero(is_missing)[0]))
