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

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from data.tabular.table_spec import TableSpec


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


class FeatureTransformer:
    """Fitted encoders, one per column. Make one with `fit` or `from_json`; it is immutable."""

    @classmethod
    def fit(cls, frame: pd.DataFrame, spec: TableSpec, config: FeatureConfig = FeatureConfig()) -> "FeatureTransformer":
        """Learn means, medians and values from the training rows alone. Raises: InvalidInput without a row."""
        raise NotImplementedError

    @property
    def feature_names(self) -> tuple[str, ...]:
        """One per feature: `age`, `age:missing`, `make=Honda`, `make=(other)`, `start:month`, `start:age_days`."""
        raise NotImplementedError

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """The table's column behind each feature, so that explanations can be added up by column."""
        raise NotImplementedError

    @property
    def feature_types(self) -> tuple[str, ...]:
        """XGBoost's `feature_types`: "q" for quantities, "c" for codes."""
        raise NotImplementedError

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns a row must have."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """sha256 of `to_json()`: equal digests, equal features."""
        raise NotImplementedError

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """float32 [n, n_features]; other columns are ignored. Raises: InvalidInput naming column, row and value."""
        raise NotImplementedError

    def transform_row(self, row: Mapping[str, Any]) -> np.ndarray:
        """float32 [n_features] of one row; None, NaN and an absent key are missing. Raises: as `transform`."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces, floats that read back to the same bits."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, text: str) -> "FeatureTransformer":
        """Raises: InvalidInput where the text is none of `to_json`."""
        raise NotImplementedError
