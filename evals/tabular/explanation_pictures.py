"""Pictures of explanations as PNG bytes, by shap and matplotlib. Slow to import (8 s); computes no contribution."""

import io
from collections.abc import Callable

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import shap

from evals.tabular.explanation import Explained, GroupDifference

N_COLUMNS = 15


def beeswarm(explained: Explained) -> bytes:
    """A point per row and column: contribution along, the column's value as colour; categories are grey."""
    return _drawn(lambda: shap.plots.beeswarm(_shap(explained), max_display=N_COLUMNS, show=False))


def importance_bar(explained: Explained) -> bytes:
    """Mean absolute contribution by column."""
    return _drawn(lambda: shap.plots.bar(_shap(explained), max_display=N_COLUMNS, show=False))


def difference_bar(difference: GroupDifference, first: str, second: str) -> bytes:
    """Mean contribution of one group less the other's, by column, with intervals."""

    def draw() -> None:
        shown = list(difference.contributions.items())[:N_COLUMNS][::-1]
        values = np.array([one.value for _, one in shown])
        reach = np.array([[one.value - one.low, one.high - one.value] for _, one in shown]).T
        plt.figure(figsize=(8, 0.4 * len(shown) + 1.5))
        plt.barh([name for name, _ in shown], values, xerr=reach, color=np.where(values > 0, "#b3423a", "#3a6ab3"))
        plt.axvline(0, color="black", linewidth=0.8)
        plt.xlabel(f"log-odds: {first} less {second}, in all {difference.log_odds:+.3f}")

    return _drawn(draw)


def _shap(explained: Explained) -> "shap.Explanation":
    frame = explained.values
    numbers = {
        name: cells.astype(np.float64)
        if pd.api.types.is_numeric_dtype(cells.dtype) and not cells.hasnans
        else cells.astype(object).astype(str)
        for name, cells in frame.items()
    }
    data = pd.DataFrame(numbers).to_numpy(dtype=object)
    return shap.Explanation(
        values=explained.contributions, base_values=explained.base, data=data, feature_names=list(explained.columns)
    )


def _drawn(draw: Callable[[], object]) -> bytes:
    plt.close("all")
    draw()
    buffer = io.BytesIO()
    plt.gcf().savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    plt.close("all")
    return buffer.getvalue()
