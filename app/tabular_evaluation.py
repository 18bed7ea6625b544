"""Which model on which rows: what the commands about evaluation share. Measures nothing itself; `evals.tabular` does.

Rows are the model's own held-out ones, kept in its folder, unless a file is given. Heavy imports happen inside the functions.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.errors import InvalidInput, MissingExtra, NotFound

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from app.settings import Settings
    from data.tabular.model import TabularModel
    from data.tabular.table_spec import TableSpec
    from evals.tabular.metrics import Scored


def opened_model(wanted: str, settings: "Settings") -> "TabularModel":
    """A folder, `name`, `name@version` or `name@alias`. Raises: NotFound; TamperedModel; MissingExtra."""
    try:
        from data.tabular.model_files import load_model
    except ImportError as error:
        raise MissingExtra(error.name or "pandas", extra="tabular") from error
    if "/" in wanted or Path(wanted).is_dir():
        return load_model(Path(wanted))
    from app.tabular import model_folder

    return load_model(model_folder(settings, wanted))


def labelled_rows(model: "TabularModel", rows: Path | None = None) -> "pd.DataFrame":
    """The held-out rows kept with the model, or those of a csv or parquet file, checked; rows without label left out."""
    spec = model.spec
    if rows is None:
        if model.reference.empty:
            raise NotFound(
                f"{model.ref} keeps no held-out rows.",
                next_step="Give labelled rows it was not trained on: --rows FILE.",
            )
        return model.reference
    frame = _read(rows, spec)
    return frame[frame[spec.target].notna()].reset_index(drop=True)


def scored_rows(model: "TabularModel", frame: "pd.DataFrame", scores: "np.ndarray | None" = None) -> "Scored":
    """Labels and scores, by default the model's; rows of one group of the table share their luck, where the group is there."""
    from data.tabular.table import target_of
    from evals.tabular.metrics import Scored

    spec = model.spec
    clusters = frame[spec.group].to_numpy() if spec.group and spec.group in frame else None
    given = model.scores(frame) if scores is None else scores
    return Scored(target_of(frame, spec), given, model.threshold, model.costs, clusters)


def _read(path: Path, spec: "TableSpec") -> "pd.DataFrame":
    from data.tabular.contract import checked
    from data.tabular.table import read_table
    from data.tabular.table_spec import FileSource

    kind = "parquet" if path.suffix in (".parquet", ".pq") else "csv"
    return checked(read_table(spec.model_copy(update={"source": FileSource(kind=kind, paths=(path,))})), spec)


@dataclass(frozen=True)
class PeriodRows:
    """Rows of one period with scores; `has_label` says whose label is known by the moment asked for."""

    name: str
    frame: "pd.DataFrame"
    scores: "np.ndarray"
    has_label: "np.ndarray"


def period_rows(
    model: "TabularModel",
    frame: "pd.DataFrame",
    *,
    by: str = "",
    since: str = "",
    as_of: str = "",
    scores: "np.ndarray | None" = None,
) -> Iterator[PeriodRows]:
    """Rows by period of the table's time, oldest first; by default those after the newest held-out row. Raises: InvalidInput."""
    from evals.tabular.performance import windows

    spec = model.spec
    if not spec.time:
        raise InvalidInput(f"{spec.name} has no time column.", field="time", next_step="Name it in the table's spec.")
    moments = frame[spec.time]
    is_date = spec.columns[spec.time].kind == "date"
    begins = _moment(since, is_date) if since else None
    if begins is None and spec.time in model.reference and len(model.reference):
        newest = model.reference[spec.time].max()
        later = moments > newest
    else:
        later = moments >= begins if begins is not None else moments.notna()
    if not later.any():
        raise InvalidInput(
            f"No row of {spec.name} is newer than the held-out ones.",
            field="since",
            next_step="Give newer rows (--rows FILE), or say from when on (--since).",
        )
    has_label = _has_label(frame, spec, as_of)
    given = model.scores(frame[later]) if scores is None else scores[later.to_numpy()]
    names = windows(moments[later], by or ("month" if is_date else "value")).to_numpy()
    kept, known = frame[later].reset_index(drop=True), has_label[later.to_numpy()]
    for name in sorted(set(names)):
        rows = names == name
        yield PeriodRows(str(name), kept[rows].reset_index(drop=True), given[rows], known[rows])


def _has_label(frame: "pd.DataFrame", spec: "TableSpec", as_of: str) -> "np.ndarray":
    """bool [n]: whose label was known then: by `known_at`, by the delay after `time`, or, for times that are numbers, by time."""
    import pandas as pd

    known = frame[spec.target].notna()
    if not as_of:
        return known.to_numpy(dtype=bool)
    if spec.known_at:
        known &= frame[spec.known_at] <= _moment(as_of, is_date=True)
    elif spec.columns[spec.time].kind == "date":
        known &= frame[spec.time] + pd.Timedelta(days=spec.label_delay_days or 0) <= _moment(as_of, is_date=True)
    else:
        known &= frame[spec.time] <= _moment(as_of, is_date=False)
    return known.to_numpy(dtype=bool)


def _moment(text: str, is_date: bool) -> Any:
    import pandas as pd

    try:
        return pd.Timestamp(text) if is_date else float(text)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is no {'date' if is_date else 'number'}.",
            field="since",
            next_step="Write 2026-03-01, or a year as the time column has it.",
        ) from error


def predicted(
    path: Path, frame: "pd.DataFrame", spec: "TableSpec", column: str
) -> "tuple[pd.DataFrame, np.ndarray, str]":
    """Rows of the table that a file of predictions scored, their scores, and how many had none. Raises: InvalidInput."""
    import pandas as pd

    found = pd.read_parquet(path) if path.suffix in (".parquet", ".pq") else pd.read_csv(path)
    for needed in (spec.id, column):
        if not needed or needed not in found:
            raise InvalidInput(
                f"{path} has no column {needed or 'of ids'}.",
                field="predictions",
                next_step=f"It has: {', '.join(map(str, found))}. Name the scores with --score-column; ids are the table's.",
            )
    if found[spec.id].duplicated().any():
        found = found.drop_duplicates(spec.id, keep="last")
    scores = frame[spec.id].astype(str).map(found.set_index(found[spec.id].astype(str))[column])
    has_score = scores.notna()
    told = f"{int(has_score.sum())} of {len(frame)} rows of the table were scored; {len(found) - int(has_score.sum())} scored rows are not in it"
    return frame[has_score].reset_index(drop=True), scores[has_score].to_numpy(dtype=float), told
