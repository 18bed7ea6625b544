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


def scored_rows(model: "TabularModel", frame: "pd.DataFrame") -> "Scored":
    """Labels and scores; rows of one group of the table share their luck, where the group is there."""
    from data.tabular.table import target_of
    from evals.tabular.metrics import Scored

    spec = model.spec
    clusters = frame[spec.group].to_numpy() if spec.group and spec.group in frame else None
    return Scored(target_of(frame, spec), model.scores(frame), model.threshold, model.costs, clusters)


def _read(path: Path, spec: "TableSpec") -> "pd.DataFrame":
    from data.tabular.contract import checked
    from data.tabular.table import read_table
    from data.tabular.table_spec import FileSource

    kind = "parquet" if path.suffix in (".parquet", ".pq") else "csv"
    return checked(read_table(spec.model_copy(update={"source": FileSource(kind=kind, paths=(path,))})), spec)


@dataclass(frozen=True)
class PeriodRows:
    """Rows of one period as the model read and scored them. `labels` mean something where `has_label`: known by the moment asked for."""

    name: str
    matrix: "np.ndarray"
    scores: "np.ndarray"
    labels: "np.ndarray"
    has_label: "np.ndarray"
    clusters: "np.ndarray | None" = None

    def scored(self, model: "TabularModel") -> "Scored":
        """The labelled rows."""
        from evals.tabular.metrics import Scored

        known = self.has_label
        clusters = None if self.clusters is None else self.clusters[known]
        return Scored(self.labels[known], self.scores[known], model.threshold, model.costs, clusters)


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
    from data.tabular.cells import texts
    from evals.tabular.performance import windows

    spec = model.spec
    later = _later(model, frame, since)
    kept = frame[later].reset_index(drop=True)
    is_date = spec.columns[spec.time].kind == "date"
    names = windows(kept[spec.time], by or ("month" if is_date else "value")).to_numpy()
    matrix = model.matrix(kept)
    given = model.scores_of_features(matrix) if scores is None else scores[later]
    labels = (texts(kept[spec.target]) == spec.positive).to_numpy(dtype="int8")
    known = _has_label(kept, spec, as_of)
    clusters = kept[spec.group].to_numpy() if spec.group and spec.group in kept else None
    for name in sorted(set(names)):
        rows = names == name
        of_rows = None if clusters is None else clusters[rows]
        yield PeriodRows(str(name), matrix[rows], given[rows], labels[rows], known[rows], of_rows)


def served_periods(
    model: "TabularModel", settings: "Settings", *, by: str = "month", as_of: str = ""
) -> Iterator[PeriodRows]:
    """Predictions that were served and kept, by when, with the labels that were sent since. Raises: NotFound without one."""
    import numpy as np
    import pandas as pd

    from app.wiring import open_database
    from evals.tabular.performance import windows
    from serving.tabular.prediction_store import PredictionStore, matrix_of

    database = open_database(settings)
    try:
        pages = PredictionStore(database).labelled(model.name, model.version)
        found = [one for page in pages for one in page]
    finally:
        database.close()
    if not found:
        raise NotFound(
            f"No prediction of {model.ref} was kept.",
            next_step="Only what is served over HTTP is, a sample of it: ASSAY_TABULAR__LOG_SHARE.",
        )
    until = _moment(as_of, is_date=True).tz_localize("UTC") if as_of else None
    known = np.array([one.label is not None and (until is None or one.known_at <= until) for one in found])
    labels = np.array([bool(one.label) for one in found], dtype=np.int8)
    kept = [one.prediction for one in found]
    moments = pd.Series(pd.to_datetime([one.at for one in kept], utc=True)).dt.tz_convert(None)
    matrix, scores = matrix_of(kept), np.array([one.score for one in kept])
    names = windows(moments, by or "month").to_numpy()
    for name in sorted(set(names)):
        rows = names == name
        yield PeriodRows(str(name), matrix[rows], scores[rows], labels[rows], known[rows])


def _later(model: "TabularModel", frame: "pd.DataFrame", since: str) -> "np.ndarray":
    """bool [n]: rows from `since` on, or else after the newest held-out row."""
    spec = model.spec
    if not spec.time:
        raise InvalidInput(f"{spec.name} has no time column.", field="time", next_step="Name it in the table's spec.")
    moments = frame[spec.time]
    if since:
        later = moments >= _moment(since, spec.columns[spec.time].kind == "date")
    elif len(model.reference):
        later = moments > model.reference[spec.time].max()
    else:
        later = moments.notna()
    if not later.any():
        raise InvalidInput(
            f"No row of {spec.name} is newer than the held-out ones.",
            field="since",
            next_step="Give newer rows (--rows FILE), or say from when on (--since).",
        )
    return later.to_numpy(dtype=bool)


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
