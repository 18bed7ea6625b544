"""One cell of a table: how it is written as text and as JSON. Knows no table."""

from typing import Any

import numpy as np
import pandas as pd

TRUE = frozenset({"true", "1", "1.0", "yes", "y", "t"})
FALSE = frozenset({"false", "0", "0.0", "no", "n", "f"})


def text_of(value: Any) -> str:
    """How a cell is written as a category or a label: 1.0 and 1 are "1", True is "true"."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def texts(column: pd.Series) -> pd.Series:
    """A column as text, cell by cell as `text_of` writes it; missing stays missing."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "string":
        return column  # text already: no call per cell
    return column.map(text_of, na_action="ignore").astype(object)


def plain(value: Any) -> Any:
    """A cell as JSON can hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def is_number(word: str) -> bool:
    try:
        return float(word) == float(word)
    except ValueError:
        return False
