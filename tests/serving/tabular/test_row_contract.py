import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.tabular.contract import faults_of
from data.tabular.features import FeatureTransformer
from data.tabular.table import settle
from serving.tabular.row_contract import RowContract, RowsRefused
from tests.data.tabular.small_table import loans_frame, loans_rows, loans_spec

SPEC = loans_spec()
FEATURES = FeatureTransformer.fit(settle(loans_frame(), SPEC)[0], SPEC)
CONTRACT = RowContract(SPEC, FEATURES.columns)
ROW = loans_rows(1)[0]


def problems(row) -> dict[str, str]:
    try:
        CONTRACT.check([row])
    except RowsRefused as error:
        return {one.field: one.message for one in error.problems}
    return {}


def test_rows_as_they_come_pass():
    assert [problems(row) for row in loans_rows()] == [{}] * len(loans_rows())


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("amount", "12", "'12' is not a number from 0 to 100000"),
        ("amount", True, "True is not a number"),
        ("amount", None, "None is not a number"),
        ("amount", math.nan, "nan is not finite"),
        ("income", math.inf, "inf is not finite"),
        ("income", math.nan, "nan is not finite"),
        ("amount", 100_000.5, "100000.5 is not a number from 0 to 100000"),
        ("amount", [1.0], "'[1.0]' is not a number"),
        ("months", 1.5, "1.5 is not a whole number from 1 to 360"),
        ("months", 361, "361 is not"),
        ("purpose", "boat", "'boat' is not one of car, house, other"),
        ("purpose", "", "'' is not one of"),
        ("town", "x" * 1001, "is not text or missing"),
        ("town", "a\x00b", "is not text or missing"),
        ("town", "\ud800", "is not text or missing"),
        ("owner", "perhaps", "'perhaps' is not true or false or missing"),
        ("owner", 2, "2 is not true or false"),
        ("asked", "2024-13-01", "'2024-13-01' is not a date from 2020-01-01T00:00:00 on"),
        ("asked", 1717000000, "1717000000 is not a date"),
        ("asked", "2024-W01-1", "is not a date"),
        ("born", "1500-01-01", "is not a date or missing"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(field, value, told):
    found = problems(ROW | {field: value})
    assert list(found) == [field]
    assert told in found[field]


def test_all_wrong_fields_of_all_rows_are_told_at_once():
    rows = [ROW | {"amount": "1", "months": 0}, ROW, {"purpose": "car"}]
    with pytest.raises(RowsRefused) as caught:
        CONTRACT.check(rows)
    places = {(one.row, one.field) for one in caught.value.problems}
    assert places == {(0, "amount"), (0, "months"), (2, "amount"), (2, "months"), (2, "asked")}
    assert caught.value.field == "amount"


def test_what_is_no_object_is_refused():
    assert problems(7) == {"row": "a row is a JSON object of column names and values"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("town", None),
        ("town", "?"),
        ("town", ""),
        ("children", -1),
        ("children", 3.0),
        ("income", None),
        ("owner", "yes"),
        ("owner", 0),
        ("born", "1980-05-06T07:08:09.123456789+02:00"),
        ("asked", "2024-02-29 23:59"),
        ("purpose", "other"),
    ],
)
def test_what_the_features_read_alike_is_let_through(field, value):
    assert problems(ROW | {field: value}) == {}


def test_only_what_the_features_need_must_be_there():
    needed = {"asked": "2024-01-01", "amount": 1, "months": 1, "purpose": "car"}
    assert problems(needed) == {}
    for name in needed:
        assert list(problems({k: v for k, v in needed.items() if k != name})) == [name]


def test_the_schema_holds_bounds_lists_and_titles():
    told = CONTRACT.json_schema()
    assert told["title"] == "loans"
    assert told["properties"]["purpose"]["enum"] == ["car", "house", "other"]
    assert told["properties"]["months"]["minimum"] == 1
    assert told["properties"]["months"]["type"] == "integer"
    assert told["properties"]["asked"]["format"] == "date-time"


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-400, 400),
    st.floats(-2e5, 2e5),
    st.sampled_from(
        ["car", "house", "boat", "?", "Brook", "yes", "no", "2024-05-06", "2019-01-01", "1950-06-15T01:02:03"]
    ),
)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(field=st.sampled_from([name for name in SPEC.columns if name not in ("loan", "repaid", "sex")]), value=cells)
def test_what_passes_here_passes_the_tables_contract_and_makes_the_same_features(field, value):
    row = {name: v for name, v in ROW.items() if name != "repaid"} | {field: value}
    if problems(row):
        return
    frame = pd.DataFrame({name: pd.Series([v], dtype=object) for name, v in row.items()})
    assert faults_of(frame, SPEC, needs_target=False) == []
    settled, _ = settle(frame, SPEC)
    same = FEATURES.transform(settled)[0].view(np.int32) == FEATURES.transform_row(row).view(np.int32)
    assert same.all()
