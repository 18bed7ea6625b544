import json

import numpy as np
import pandas as pd
import pytest

from data.tabular.contract import ContractBroken
from data.tabular.mlflow_form import MlflowForm, _load_pyfunc, example, inputs
from data.tabular.model_files import TamperedModel, save_model
from tests.data.tabular.small_model import small_model
from tests.data.tabular.small_table import loans_frame

MODEL = small_model()


def test_it_scores_as_the_model_does():
    found = MlflowForm(MODEL).predict(loans_frame(20))
    assert found["score"].to_numpy().tobytes() == MODEL.scores(loans_frame(20)).tobytes()
    assert found["positive"].tolist() == (found["score"] >= MODEL.threshold).tolist()


def test_rows_that_break_the_contract_are_refused():
    frame = loans_frame(5)
    frame.loc[3, "amount"] = -1
    with pytest.raises(ContractBroken, match="row 3, amount"):
        MlflowForm(MODEL).predict(frame)


def test_the_columns_it_asks_for_are_those_the_model_reads():
    told = {one["name"]: one for one in inputs(MODEL)}
    assert set(told) == set(MODEL.features.columns)
    assert "sex" not in told
    assert told["months"] == {"name": "months", "type": "long", "required": True}
    assert told["children"] == {"name": "children", "type": "double", "required": False}
    assert told["asked"]["type"] == "string"


def test_the_example_passes_through_json_and_is_scored_the_same():
    rows = example(MODEL, 3)
    through = pd.DataFrame(json.loads(rows.to_json(orient="records")))
    scores = MlflowForm(MODEL).predict(through)["score"].to_numpy()
    np.testing.assert_array_equal(scores, MODEL.scores(loans_frame(3)))


def test_mlflow_loads_no_changed_model(tmp_path):
    save_model(MODEL, tmp_path / "model")
    assert isinstance(_load_pyfunc(str(tmp_path / "model")), MlflowForm)
    (tmp_path / "model" / "estimator.json").write_text("{}")
    with pytest.raises(TamperedModel):
        _load_pyfunc(str(tmp_path / "model"))
