"""Rows of a table to numbers for a model: fitted once, plain JSON, the same bits in training, batch, API and KServe. Knows no model.

transformer = FeatureTransformer.fit(frame, spec)          # a settled frame (data.tabular.table, data.tabular.contract)
matrix = transformer.transform(frame)                      # float32 [n, n_features], C order, no NaN
vector = transformer.transform_row({"age": 41, ...})       # float32 [n_features], the same bits, for one request
again = FeatureTransformer.from_json(transformer.to_json())

Decided: numbers are standardised, missing ones take the median; columns that may miss values also give `age:missing`.
Categories become one feature per value (`make=Honda`), plus `make=(other)` for rare and unseen ones and `make=(missing)`; or, with
`FeatureConfig(encoding="codes")`, one whole number per column for trees (`feature_types` says "c" there). Dates become
their `parts` and the days to `age_at`. Everything is computed in float64 by additions, multiplications and integer arithmetic
alone, which give the same bits for one row and for a million, and rounded once to float32.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data.errors import InvalidInput
from data.tabular.cells import texts
from data.tabular.encoders import DAY_S, CategoryEncoder, DateEncoder, Encoder, NumberEncoder, Scale, date_part
from data.tabular.table_spec import Column, TableSpec


class FeatureConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    encoding: Literal["one_hot", "codes"] = "one_hot"
    """How categories are written: a feature per value, or one code per column (for trees that split on categories)."""
    min_count: int = Field(default=10, ge=1)
    """A value seen in fewer rows is (other)."""
    max_values: int = Field(default=64, ge=1)
    """The most frequent values that are told apart; the others are (other)."""
    scale: bool = True
    """Whether numbers are standardised; trees do not care."""
    columns: tuple[str, ...] = ()
    """Only these of the spec's features; empty for all. Leaving out protected attributes is done here."""


class _Fitted(BaseModel):
    """What is saved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    table: str
    encoders: tuple[Encoder, ...]


class FeatureTransformer:
    """Fitted encoders, one per column. Make one with `fit` or `from_json`; it is immutable."""

    def __init__(self, fitted: _Fitted) -> None:
        self._fitted = fitted
        self._put = [encoder.for_row() for encoder in fitted.encoders]
        self.feature_names: tuple[str, ...] = tuple(name for one in fitted.encoders for name in one.names)
        """One per feature: `age`, `age:missing`, `make=Honda`, `make=(other)`, `start:month`, `start:age_days`."""
        self.feature_columns: tuple[str, ...] = tuple(one.column for one in fitted.encoders for _ in one.names)
        """The table's column behind each feature, so that explanations can be added up by column."""
        self.feature_types: tuple[str, ...] = tuple(kind for one in fitted.encoders for kind in one.types)
        """XGBoost's `feature_types`: "q" for quantities, "c" for codes."""
        reads = [name for one in fitted.encoders for name in (one.column, getattr(one, "age_at", "")) if name]
        self.columns: tuple[str, ...] = tuple(dict.fromkeys(reads))
        """The columns a row must have, those that dates are measured against included."""
        self.digest: str = hashlib.sha256(self.to_json().encode()).hexdigest()
        """sha256 of `to_json()`: equal digests, equal features."""

    @classmethod
    def fit(cls, frame: pd.DataFrame, spec: TableSpec, config: FeatureConfig = FeatureConfig()) -> "FeatureTransformer":
        """Learn means, medians and values from the training rows alone. Raises: InvalidInput without a row or a feature."""
        if frame.empty:
            raise InvalidInput(f"{spec.name} has no row to learn features from.", field="frame")
        if unknown := [name for name in config.columns if name not in spec.features]:
            raise InvalidInput(
                f"{', '.join(unknown)} are no features of {spec.name}.",
                field="features.columns",
                next_step=f"Its features are: {', '.join(spec.features)}.",
            )
        names = [name for name in spec.features if not config.columns or name in config.columns]
        _need(frame, names)
        fitted = [_fitted(name, frame, spec, config) for name in names]
        encoders = tuple(one for one in fitted if one.names)
        if not encoders:
            raise InvalidInput(
                f"{spec.name} has no feature.", field="columns", next_step="Set is_feature, parts or age_at."
            )
        return cls(_Fitted(table=spec.name, encoders=encoders))

    @property
    def n_features(self) -> int:
        return len(self.feature_names)

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """float32 [n, n_features]; other columns are ignored. Raises: InvalidInput naming column, row and value."""
        _need(frame, self.columns)
        out = np.zeros((len(frame), self.n_features), dtype=np.float32)
        start = 0
        for encoder in self._fitted.encoders:
            stop = start + len(encoder.names)
            encoder.fill(frame, out[:, start:stop])
            start = stop
        return out

    def transform_row(self, row: Mapping[str, Any]) -> np.ndarray:
        """float32 [n_features] of one row; None, NaN and an absent key are missing. Raises: as `transform`."""
        out: list[float] = []
        for put in self._put:
            put(row, out)
        return np.array(out, dtype=np.float32)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, floats that read back to the same bits."""
        return json.dumps(self._fitted.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "FeatureTransformer":
        """Raises: InvalidInput where the text is none of `to_json`."""
        try:
            return cls(_Fitted.model_validate_json(text))
        except ValidationError as error:
            raise InvalidInput(
                f"These are no saved features: {error.errors()[0]['msg']} at {error.errors()[0]['loc']}.",
                field="features",
                next_step="Save them with FeatureTransformer.to_json().",
            ) from error


def _fitted(name: str, frame: pd.DataFrame, spec: TableSpec, config: FeatureConfig) -> Encoder:
    column, cells = spec.columns[name], frame[name]
    shared: dict[str, Any] = {"column": name, "missing": column.missing, "nullable": column.nullable}
    match column.kind:
        case "category":
            return CategoryEncoder(**shared, values=_values(cells, column, config), as_codes=config.encoding == "codes")
        case "date":
            return _fitted_date(DateEncoder(**shared, parts=column.parts), frame, spec, config)
    is_boolean = column.kind == "boolean"
    empty = NumberEncoder(**shared, is_boolean=is_boolean)
    values, is_missing = empty.values(cells)
    scale = Scale.of(values[~is_missing], scale=config.scale and not is_boolean)
    return empty.model_copy(update={"scale": scale})


def _fitted_date(empty: DateEncoder, frame: pd.DataFrame, spec: TableSpec, config: FeatureConfig) -> DateEncoder:
    seconds, is_missing = empty.seconds(frame[empty.column])
    known = seconds[~is_missing]
    scales = tuple(Scale.of(date_part(part, known).astype(np.float64), scale=config.scale) for part in empty.parts)
    update: dict[str, Any] = {"part_scales": scales}
    if other := spec.columns[empty.column].age_at:
        update |= {"age_at": other, "age_missing": spec.columns[other].missing}
        later, none_later = DateEncoder(column=other, missing=update["age_missing"]).seconds(frame[other])
        both = ~(is_missing | none_later)
        update["age_scale"] = Scale.of((later - seconds)[both] / DAY_S, scale=config.scale)
    elif not empty.parts:
        update["nullable"] = False  # a date without parts is no feature, missing or not
    return empty.model_copy(update=update)


def _values(cells: pd.Series, column: Column, config: FeatureConfig) -> tuple[str, ...]:
    """The frequent values, sorted: the most frequent `max_values` of those seen in `min_count` rows."""
    words = texts(cells)
    counts = words[words.notna() & ~words.isin(["", *column.missing])].value_counts()
    often = sorted(((-int(n), str(word)) for word, n in counts.items() if n >= config.min_count))[: config.max_values]
    return tuple(sorted(word for _, word in often))


def _need(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    if absent := [name for name in columns if name not in frame]:
        raise InvalidInput(
            f"The table has no column {', '.join(absent)}.",
            field=absent[0],
            next_step=f"There are: {', '.join(map(str, frame))}.",
        )
