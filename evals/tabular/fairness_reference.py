"""The same measures by aif360, cross-checked against fairlearn: the figures that are reported. Slow to import (25 s on a busy machine).

aif360 says unprivileged less privileged through `ClassificationMetric`; fairlearn gives rates by group (`MetricFrame`), of which the
differences are taken here, for its own differences have no sign. The Theil index exists in aif360 alone.
"""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from data.errors import InfrastructureError
from evals.tabular.fairness import MEASURES, PRIVILEGED, UNPRIVILEGED, measures_of
from evals.tabular.groups import Grouped

logging.getLogger().addFilter(_quiet := lambda record: "will be unavailable" not in record.getMessage())
from aif360.datasets import BinaryLabelDataset  # noqa: E402
from aif360.metrics import ClassificationMetric  # noqa: E402
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate  # noqa: E402

logging.getLogger().removeFilter(_quiet)

TOLERANCE = 1e-9


class FiguresDisagree(InfrastructureError):
    """Two computations of one measure differ: a defect in one of them, never a property of the model."""

    code = "figures_disagree"


def by_aif360(grouped: Grouped) -> dict[str, float]:
    """The five measures."""
    columns = pd.DataFrame({"group": grouped.group.astype(float), "label": grouped.labels.astype(float)})
    shape = {"label_names": ["label"], "protected_attribute_names": ["group"]}
    truth = BinaryLabelDataset(df=columns, **shape)
    said = BinaryLabelDataset(df=columns.assign(label=grouped.decisions.astype(float)), **shape)
    metric = ClassificationMetric(truth, said, [{"group": UNPRIVILEGED}], [{"group": PRIVILEGED}])
    return {
        "statistical_parity_difference": float(metric.statistical_parity_difference()),
        "equal_opportunity_difference": float(metric.equal_opportunity_difference()),
        "average_odds_difference": float(metric.average_odds_difference()),
        "disparate_impact": float(metric.disparate_impact()),
        "theil_index": float(metric.theil_index()),
    }


def by_fairlearn(grouped: Grouped) -> dict[str, float]:
    """The four measures that fairlearn can give."""
    rates = MetricFrame(
        metrics={"selected": selection_rate, "recall": true_positive_rate, "fall_out": false_positive_rate},
        y_true=grouped.labels,
        y_pred=grouped.decisions,
        sensitive_features=grouped.group,
    ).by_group
    gap = rates.loc[UNPRIVILEGED] - rates.loc[PRIVILEGED]
    return {
        "statistical_parity_difference": float(gap["selected"]),
        "equal_opportunity_difference": float(gap["recall"]),
        "average_odds_difference": float((gap["recall"] + gap["fall_out"]) / 2),
        "disparate_impact": float(rates.loc[UNPRIVILEGED, "selected"] / rates.loc[PRIVILEGED, "selected"]),
    }


def greatest_difference(grouped: Grouped, figures: Mapping[str, float] | None = None) -> float:
    """Between figures (our formula's), aif360's and fairlearn's, over all measures. Raises: FiguresDisagree above 1e-9."""
    ours = figures or {name: float(value) for name, value in measures_of(grouped.cells()).items()}
    worst = 0.0
    for theirs in (by_aif360(grouped), by_fairlearn(grouped)):
        for name in (one for one in MEASURES if one in theirs):
            gap = abs(theirs[name] - ours[name])
            if gap > TOLERANCE or np.isnan(theirs[name]) != np.isnan(ours[name]):
                raise FiguresDisagree(
                    f"{name} is {ours[name]!r} here and {theirs[name]!r} there.",
                    next_step="Report this with the table; neither figure is to be used until it is understood.",
                )
            worst = max(worst, 0.0 if np.isnan(gap) else gap)
    return worst
