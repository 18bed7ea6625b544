"""How MLflow reads a saved tabular model (`loader_module` of its pyfunc flavour): no pickle, no mlflow import, hashes checked.

mlflow.pyfunc.load_model("models:/claims@champion").predict(frame)        # a frame of score and positive
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from data.tabular.contract import checked
from data.tabular.model import TabularModel
from data.tabular.model_files import load_model

MLFLOW_TYPES = {
    "number": "double",
    "integer": "long",
    "category": "string",
    "boolean": "boolean",
    "date": "string",
}
LOADER = "data.tabular.mlflow_form"
FOLDER = "model"
"""The name of the model's folder inside of MLflow's: `data/model`."""


class MlflowForm:
    """Rows that break the contract are refused, as everywhere."""

    def __init__(self, model: TabularModel) -> None:
        self._model = model
        needed = {name: column for name, column in model.spec.columns.items() if name in model.features.columns}
        self._spec = model.spec.model_copy(
            update={"columns": needed, "target": "", "positive": "", "id": "", "group": "", "known_at": "", "time": ""}
        )

    def predict(self, rows: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """float64 `score` and bool `positive`, a row each. Raises: ContractBroken."""
        frame = checked(rows[[name for name in self._spec.columns if name in rows]], self._spec)
        scores = self._model.scores(frame)
        return pd.DataFrame({"score": scores, "positive": self._model.decisions(scores)})


def inputs(model: TabularModel) -> list[dict[str, Any]]:
    """Name, MLflow type and whether it is required, of each column that the model reads."""
    columns = {name: model.spec.columns[name] for name in model.features.columns}
    return [
        {
            "name": name,
            "type": "double" if column.kind == "integer" and column.nullable else MLFLOW_TYPES[column.kind],
            "required": not column.nullable,
        }
        for name, column in columns.items()
    ]


def example(model: TabularModel, n: int = 2) -> pd.DataFrame:
    """The first reference rows as MLflow's types have them: dates as text, categories as text."""
    frame = model.reference.head(n)
    found = {}
    for one in inputs(model):
        cells, kind = frame[one["name"]], model.spec.columns[one["name"]].kind
        if kind == "date":
            found[one["name"]] = cells.dt.strftime("%Y-%m-%dT%H:%M:%S").astype(object)
        elif kind == "category" or kind == "boolean":
            found[one["name"]] = cells.astype(object).where(cells.notna(), None)
        else:
            found[one["name"]] = cells.astype("int64" if one["type"] == "long" else "float64")
    return pd.DataFrame(found)


def _load_pyfunc(path: str) -> MlflowForm:
    """Called by MLflow with the folder that `mlflow.pyfunc.save_model(data_path=...)` was given."""
    return MlflowForm(load_model(Path(path)))
