import math

import numpy as np
import pytest

from data.errors import InvalidInput
from serving.tabular.open_inference import inferred, metadata, rows_of_invocation, rows_of_tensors
from serving.tabular.predictor import Scored
from tests.serving.tabular.stores import put_model


def tensor(name="amount", data=(1.0, 2.0), **changes) -> dict:
    return {"name": name, "shape": [len(data)], "datatype": "FP64", "data": list(data)} | changes


def test_columns_become_rows():
    words = tensor("town", ("a", None), datatype="BYTES", shape=[2, 1]) | {"data": [["a"], [None]]}
    assert rows_of_tensors([tensor(), words]) == [{"amount": 1.0, "town": "a"}, {"amount": 2.0, "town": None}]


def test_nan_is_missing_and_bytes_are_text():
    assert rows_of_tensors([tensor(data=(math.nan,)), tensor("town", (b"Br\xc3\xbcck",), datatype="BYTES")]) == [
        {"amount": None, "town": "Brück"}
    ]


@pytest.mark.parametrize(
    ("inputs", "field", "told"),
    [
        (None, "inputs", "no input tensor"),
        ([], "inputs", "no input tensor"),
        ([7], "inputs.0", "name, shape, datatype"),
        ([tensor(datatype="STRING")], "inputs.0.datatype", "'STRING'"),
        ([tensor() | {"data": "ab"}], "inputs.0.data", "list of values"),
        ([tensor(shape=[3])], "inputs.0.shape", "[2]"),
        ([tensor(), tensor()], "inputs.1.name", "twice"),
        ([tensor(), tensor("months", (1,))], "inputs", "amount 2, months 1"),
        ([tensor(data=(True, 1.0))], "inputs.0.data", "True is not"),
        ([tensor(datatype="BYTES")], "inputs.0.data", "1.0 is not"),
        ([tensor(data=("yes",), datatype="BOOL")], "inputs.0.data", "'yes' is not"),
    ],
)
def test_wrong_tensors_are_named(inputs, field, told):
    with pytest.raises(InvalidInput) as caught:
        rows_of_tensors(inputs)
    assert caught.value.field == field
    assert told in str(caught.value)


def test_mlflows_forms_become_rows():
    rows = [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
    for body in (
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, None], [2, "x"]]}},
        {"dataframe_split": {"columns": ["a", "b"], "index": [0, 1], "data": [[1, None], [2, "x"]]}},
        {"dataframe_records": rows},
        {"instances": rows},
        {"inputs": rows},
        {"inputs": {"a": [1, 2], "b": [None, "x"]}},
    ):
        assert rows_of_invocation(body) == rows


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "none"),
        ([], "none"),
        ({"instances": [], "inputs": []}, "instances, inputs"),
        ({"instances": [1, 2]}, "JSON objects"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "Row 0"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": []}}, "twice"),
        ({"dataframe_split": [1]}, "columns"),
        ({"inputs": {"a": [1], "b": [1, 2]}}, "one length"),
        ({"inputs": {"a": 1}}, "one length"),
    ],
)
def test_other_bodies_are_refused(body, told):
    with pytest.raises(InvalidInput, match=told):
        rows_of_invocation(body)


def test_replies_hold_plain_values_and_metadata_names_every_column(tmp_path):
    predictor = put_model(tmp_path).predictor("loans")
    scored = Scored(np.zeros((2, 1), np.float32), np.array([0.25, 0.5]), np.array([False, True]))
    told = inferred(predictor, scored, "r1")
    assert told["outputs"][0]["data"] == [0.25, 0.5]
    assert told["outputs"][1]["data"] == [False, True]
    described = metadata(predictor, ["1", "2"])
    optional = {one["name"]: one["parameters"]["optional"] for one in described["inputs"]}
    assert optional["amount"] is False
    assert optional["loan"] is optional["sex"] is optional["income"] is True
    assert "repaid" not in optional
    assert described["versions"] == ["1", "2"]
