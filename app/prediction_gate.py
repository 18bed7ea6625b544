"""The gate of tabular versions: the candidate beside the champion on the same labelled rows, by a paired bootstrap. Writes the verdict
without which the rollout promotes nothing.

verdict = judge_version(candidate, champion, frame)     # Outcome pass, fail or inconclusive, with the figures
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from app.rollout import TABULAR
from data.errors import InvalidInput
from data.records import Outcome, Verdict
from data.tabular.model import Measured, TabularModel
from data.tabular.table import target_of
from evals.tabular.metrics import LESS_IS_BETTER, Scored, drawn_values, values_of
from evals.tabular.resampling import percentile_interval
from serving.rollout.verdicts import new_verdict_id

FEWEST_LABELS = 10
"""Of each kind; fewer say nothing."""


@dataclass(frozen=True)
class Margins:
    """How much worse than the champion a candidate may be; cost as a share of the champion's."""

    roc_auc: float = 0.01
    brier: float = 0.005
    cost: float = 0.05


def judge_version(
    candidate: TabularModel, champion: TabularModel | None, frame: pd.DataFrame, margins: Margins = Margins()
) -> Verdict:
    """Pass where every difference is proven to be within its margin, fail where one is proven to be beyond it.

    Without a champion the candidate must only be better than chance. Raises: InvalidInput for too few labels.
    """
    labels = target_of(frame, candidate.spec)
    if min(int(labels.sum()), int((1 - labels).sum())) < FEWEST_LABELS:
        raise InvalidInput(
            f"{int(labels.sum())} of {len(labels)} rows are positive; the gate needs {FEWEST_LABELS} of each kind.",
            field="rows",
            next_step="Give more labelled rows.",
        )
    mine = _scored(candidate, frame, labels)
    if champion is None:
        detail, outcome = _alone(mine)
    else:
        detail, outcome = _beside(mine, _scored(champion, frame, labels), margins)
        detail["champion"] = champion.ref
    return Verdict(
        id=new_verdict_id(),
        name=TABULAR + candidate.name,
        version=candidate.version,
        outcome=outcome,
        created_at=datetime.now(UTC),
        digest=candidate.digest,
        detail=detail | {"n_rows": len(labels), "n_positive": int(labels.sum())},
    )


def _scored(model: TabularModel, frame: pd.DataFrame, labels: np.ndarray) -> Scored:
    return Scored(labels, model.scores(frame), model.threshold, model.costs)


def _alone(mine: Scored) -> tuple[dict, Outcome]:
    auc = percentile_interval(values_of(mine)["roc_auc"], drawn_values(mine)["roc_auc"])
    outcome = Outcome.PASS if auc.low > 0.5 else Outcome.FAIL if auc.high < 0.5 else Outcome.INCONCLUSIVE
    return {"roc_auc": _told(auc), "rule": "better than chance; there is no champion"}, outcome


def _beside(mine: Scored, theirs: Scored, margins: Margins) -> tuple[dict, Outcome]:
    value, other = values_of(mine), values_of(theirs)
    drawn, drawn_other = drawn_values(mine), drawn_values(theirs)  # one seed, so the same rows were drawn for both
    allowed = {"roc_auc": margins.roc_auc, "brier": margins.brier, "cost": margins.cost * max(other["cost"], 1e-12)}
    detail, outcomes = {}, []
    for name, margin in allowed.items():
        sign = -1.0 if name in LESS_IS_BETTER else 1.0
        better = percentile_interval(sign * (value[name] - other[name]), sign * (drawn[name] - drawn_other[name]))
        outcomes.append(Outcome.PASS if better.low > -margin else Outcome.FAIL if better.high < -margin else None)
        detail[name] = {"candidate": value[name], "champion": other[name], "better_by": _told(better), "margin": margin}
    if Outcome.FAIL in outcomes:
        return detail, Outcome.FAIL
    return detail, Outcome.INCONCLUSIVE if None in outcomes else Outcome.PASS


def _told(measured: Measured) -> list[float]:
    return [measured.value, measured.low, measured.high]
