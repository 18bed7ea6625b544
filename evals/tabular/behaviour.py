"""What a model must do whatever its accuracy: give the same score twice, stay in range, follow known directions, ignore what it must not use.

behaviours(model, frame, monotone={"claim_amount": "up"})    # list of Behaviour; a model here is anything with `scores` and `threshold`
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from data.errors import InvalidInput
from data.tabular.cells import plain
from data.tabular.table_spec import TableSpec

Direction = Literal["up", "down"]
N_STEPS = 7
TOLERANCE = 1e-9


class Scores(Protocol):
    spec: TableSpec
    threshold: float

    def scores(self, rows: pd.DataFrame) -> np.ndarray: ...


@dataclass(frozen=True)
class Behaviour:
    """`n_broken` of `n_tried` rows; `worst` is the greatest change of a score, `example` the row where it happened."""

    name: str
    passed: bool
    n_tried: int
    n_broken: int
    worst: float
    example: str


def behaviours(
    model: Scores,
    frame: pd.DataFrame,
    *,
    monotone: Mapping[str, Direction] = {},
    protected: Sequence[str] | None = None,
    max_changed: float = 0.0,
) -> list[Behaviour]:
    """Every test. `protected` are the attributes whose change must not change a decision in more than `max_changed` of the rows.

    By default those of the spec. Raises: InvalidInput for columns that are not there, or a direction of a category.
    """
    spec = model.spec
    attributes = list(spec.protected) if protected is None else list(protected)
    if absent := [name for name in (*attributes, *monotone) if name not in spec.columns]:
        raise InvalidInput(
            f"{spec.name} has no column {', '.join(absent)}.",
            field="monotone",
            next_step=f"There are: {', '.join(spec.columns)}.",
        )
    frame = frame.reset_index(drop=True)
    found = [determinism(model, frame), in_range(model, frame)]
    found += [monotone_direction(model, frame, column, way) for column, way in monotone.items()]
    found += [invariance(model, frame, name, max_changed) for name in attributes if name in frame]
    read = {*spec.features, *(spec.columns[name].age_at for name in spec.features)}  # ages are measured to other dates
    unread = [name for name in frame if name not in read]
    return [*found, *(no_op(model, frame, str(name)) for name in unread if name not in attributes)]


def determinism(model: Scores, frame: pd.DataFrame) -> Behaviour:
    """The same bits twice, in another order, and for rows alone."""
    first = model.scores(frame)
    order = np.random.default_rng(0).permutation(len(frame))
    shuffled = np.empty_like(first)
    shuffled[order] = model.scores(frame.iloc[order].reset_index(drop=True))
    alone = first.copy()
    for row in range(min(20, len(frame))):
        alone[row] = model.scores(frame.iloc[[row]].reset_index(drop=True))[0]
    change = np.max(np.abs([model.scores(frame) - first, shuffled - first, alone - first]), axis=0)
    return _judged("determinism", frame, change > 0, change)


def in_range(model: Scores, frame: pd.DataFrame) -> Behaviour:
    """Scores are finite and lie in 0..1."""
    scores = model.scores(frame)
    outside = ~((scores >= 0) & (scores <= 1))
    return _judged("range 0..1", frame, outside, np.where(outside, np.abs(np.nan_to_num(scores, nan=np.inf)), 0.0))


def monotone_direction(model: Scores, frame: pd.DataFrame, column: str, direction: Direction) -> Behaviour:
    """Raising the column over its quantiles, all else equal, never lowers (raises) the score."""
    if model.spec.columns[column].kind not in ("number", "integer"):
        raise InvalidInput(
            f"{column} is a {model.spec.columns[column].kind}; only numbers have a direction.",
            field="monotone",
            next_step="Name a number or integer column.",
        )
    cells = frame[column]
    steps = np.unique(np.nanquantile(cells.to_numpy(np.float64), np.linspace(0, 1, N_STEPS), method="nearest"))
    scores = np.stack([model.scores(frame.assign(**{column: cells.dtype.type(step)})) for step in steps])
    wrong = np.diff(scores, axis=0) * (-1 if direction == "up" else 1)
    worst = wrong.max(axis=0, initial=0.0)
    return _judged(f"{column} {direction}", frame, worst > TOLERANCE, worst)


def invariance(model: Scores, frame: pd.DataFrame, attribute: str, max_changed: float = 0.0) -> Behaviour:
    """Another value of a protected attribute changes no decision; numbers are mirrored, others take the next value."""
    before = model.scores(frame)
    after = [model.scores(frame.assign(**{attribute: other})) for other in _others(frame[attribute])]
    flipped = np.zeros(len(frame), bool)
    change = np.zeros(len(frame))
    for scores in after:
        flipped |= (scores >= model.threshold) != (before >= model.threshold)
        change = np.maximum(change, np.abs(scores - before))
    return _judged(f"invariance to {attribute}", frame, flipped, change, max_changed)


def no_op(model: Scores, frame: pd.DataFrame, column: str) -> Behaviour:
    """A column that is no feature changes nothing, whatever stands there: its values are shuffled."""
    order = np.random.default_rng(1).permutation(len(frame))
    other = frame.assign(**{column: frame[column].iloc[order].reset_index(drop=True)})
    change = np.abs(model.scores(other) - model.scores(frame))
    return _judged(f"no effect of {column}", frame, change > 0, change)


def _others(cells: pd.Series) -> list[pd.Series]:
    """A protected column with other values everywhere."""
    if pd.api.types.is_bool_dtype(cells.dtype):
        return [~cells]
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return [(cells.max() + cells.min() - cells).astype(cells.dtype)]
    values = list(cells.dropna().unique())
    following: Callable[[int], dict] = lambda by: {v: values[(i + by) % len(values)] for i, v in enumerate(values)}  # noqa: E731
    return [cells.astype(object).map(following(by)).astype(cells.dtype) for by in range(1, min(len(values), 4))]


def _judged(name: str, frame: pd.DataFrame, broken: np.ndarray, change: np.ndarray, allowed: float = 0.0) -> Behaviour:
    n_broken = int(broken.sum())
    example = ""
    if n_broken:
        at = int(np.argmax(np.where(broken, change, -1.0)))
        row = ", ".join(f"{key}={plain(value)}" for key, value in list(frame.iloc[at].items())[:6])
        example = f"row {at}: {row}"
    return Behaviour(
        name, n_broken <= allowed * len(frame), len(frame), n_broken, float(change.max(initial=0.0)), example
    )
