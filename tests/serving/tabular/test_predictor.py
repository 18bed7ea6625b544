"""The proof of no skew: the same rows make the same bits on every way to the model."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from data.tabular.contract import checked
from data.tabular.model_files import load_model, save_model
from serving.tabular.batch import BatchConfig, score_partition
from serving.tabular.open_inference import DATATYPES, rows_of_invocation, rows_of_tensors
from serving.tabular.predictor import Predictor
from serving.tabular.row_contract import RowsRefused
from tests.data.tabular.small_model import small_model
from tests.data.tabular.small_table import loans_spec
from tests.serving.tabular.stores import put_model, request_rows

KINDS = [
    "logistic_regression",
    pytest.param("random_forest", marks=pytest.mark.slow),
    pytest.param("xgboost", marks=pytest.mark.slow),
]
SPEC = loans_spec()

rows = st.lists(
    st.fixed_dictionaries(
        {
            "asked": st.datetimes(min_value=pd.Timestamp("2020-01-01"), max_value=pd.Timestamp("2200-01-01")).map(
                lambda moment: moment.isoformat()
            ),
            "born": st.none() | st.dates(pd.Timestamp("1900-01-01").date(), pd.Timestamp("2199-12-31").date()).map(str),
            "amount": st.floats(0, 100_000),
            "income": st.none() | st.floats(0, 1e300),
            "children": st.none() | st.sampled_from([-1, 0, 3, 4.0, 15]),
            "months": st.integers(1, 360),
            "purpose": st.sampled_from(["car", "house", "other"]),
            "town": st.none()
            | st.sampled_from(["Ashford", "?", "", "Nowhere", "1", "True"])
            | st.text("abé ", max_size=5),
            "owner": st.sampled_from([None, True, False]),
        }
    ),
    min_size=1,
    max_size=12,
)


def bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).view(np.int32 if values.dtype == np.float32 else np.int64)


@pytest.fixture(scope="module", params=KINDS)
def predictor(request, tmp_path_factory) -> Predictor:
    folder = tmp_path_factory.mktemp("model") / "loans@1"
    save_model(small_model(request.param), folder)
    return Predictor(load_model(folder))


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)  # shrinking takes minutes
@given(given_rows=rows)
def test_training_batch_api_and_kserve_make_the_same_bits_of_the_same_rows(predictor, given_rows):
    model = predictor.model
    frame = pd.DataFrame({name: pd.Series([row[name] for row in given_rows], dtype=object) for name in given_rows[0]})
    as_training = model.features.transform(checked(_whole(frame), SPEC, needs_target=False))
    as_api = predictor.score_rows(json.loads(json.dumps(given_rows)))
    tensors = [
        {"name": n, "shape": [len(frame)], "datatype": DATATYPES[SPEC.columns[n].kind], "data": frame[n].tolist()}
        for n in frame
    ]
    as_kserve = predictor.score_rows(rows_of_tensors(tensors))
    columns = list(given_rows[0])
    split = {"columns": columns, "data": [[row[name] for name in columns] for row in given_rows]}
    as_mlflow = predictor.score_rows(rows_of_invocation({"dataframe_split": split}))
    as_table = predictor.score_table(checked(_whole(frame), SPEC, needs_target=False))
    for found in (as_api, as_kserve, as_mlflow, as_table):
        assert np.array_equal(bits(found.features), bits(as_training))
        assert np.array_equal(bits(found.scores), bits(model.scores_of_features(as_training)))
        assert np.array_equal(found.decisions, found.scores >= model.threshold)


def _whole(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(loan=[f"L{at}" for at in range(len(frame))], sex="f")


def test_batch_makes_the_bits_of_single_rows_for_every_kind(predictor, tmp_path):
    source = tmp_path / "rows.parquet"
    given_rows = request_rows(60)
    pd.DataFrame(given_rows).to_parquet(source)
    score_partition(predictor, source, tmp_path / "scores.parquet", BatchConfig(chunk_rows=13))
    one_by_one = np.concatenate([predictor.score_rows([row]).scores for row in given_rows])
    assert np.array_equal(bits(pd.read_parquet(tmp_path / "scores.parquet")["score"].to_numpy()), bits(one_by_one))


def test_a_wrong_row_is_refused_before_the_model_sees_it(predictor):
    with pytest.raises(RowsRefused):
        predictor.score_rows([request_rows(1)[0] | {"amount": "1"}])


def test_it_describes_itself(predictor):
    told = predictor.described()
    assert (told["name"], told["version"], told["threshold"]) == ("loans", "1", 0.4)
    assert told["digest"] == predictor.model.digest


def test_a_store_gives_the_same_predictor_again(tmp_path):
    store = put_model(tmp_path)
    assert store.predictor("loans") is store.predictor("loans", "1")
