import time
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import InvalidInput
from data.tabular.features import FeatureConfig, FeatureTransformer
from data.tabular.table import settle
from data.tabular.table_spec import parse_spec
from tests.data.tabular.small_table import loans_frame, loans_rows, loans_spec

SPEC = parse_spec(
    {
        "name": "anything",
        "source": {"kind": "csv", "paths": ["none.csv"]},
        "columns": {
            "number": {"kind": "number", "nullable": True},
            "sure": {"kind": "number"},
            "whole": {"kind": "integer", "nullable": True, "missing": ["0"]},
            "word": {"kind": "category", "nullable": True, "missing": ["?"]},
            "closed": {"kind": "category", "values": ["a", "b", "c"]},
            "truth": {"kind": "boolean", "nullable": True},
            "day": {"kind": "date", "nullable": True, "parts": ["year", "quarter", "month", "day", "weekday", "hour"]},
            "since": {"kind": "date", "nullable": True, "age_at": "day"},
        },
    }
)
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ROW = st.fixed_dictionaries(
    {
        "number": st.none() | FLOATS | st.integers(-(2**62), 2**62),
        "sure": FLOATS,
        "whole": st.none() | st.integers(-(2**62), 2**62),
        "word": st.none() | st.sampled_from(["x", "y", "z", "?", "", "1.0", "nan"]) | st.text(max_size=4),
        "closed": st.sampled_from(["a", "b", "c"]),
        "truth": st.none() | st.booleans(),
        "day": st.none() | MOMENTS,
        "since": st.none() | MOMENTS | MOMENTS.map(datetime.isoformat),
    }
)
ROWS = st.lists(ROW, min_size=1, max_size=25)
CONFIGS = st.builds(
    FeatureConfig,
    encoding=st.sampled_from(["one_hot", "codes"]),
    min_count=st.sampled_from([1, 3]),
    scale=st.booleans(),
)


def bits(matrix: np.ndarray) -> np.ndarray:
    assert matrix.dtype == np.float32
    return np.ascontiguousarray(matrix).view(np.int32)


ANY = {"train": ROWS, "rows": ROWS, "config": CONFIGS, "cut": st.integers(0, 25)}


@settings(max_examples=15, deadline=None)
@given(**ANY)
@pytest.mark.slow
def test_the_same_rows_give_the_same_bits_whichever_way_they_come(train, rows, config, cut):
    assert_same_bits(train, rows, config, cut)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(**ANY)
def test_the_same_rows_give_the_same_bits_in_many_more_cases(train, rows, config, cut):
    assert_same_bits(train, rows, config, cut)


EMPTY = {
    "number": None,
    "sure": 0.0,
    "whole": None,
    "word": None,
    "closed": "a",
    "truth": None,
    "day": None,
    "since": None,
}


def test_words_that_differ_after_a_null_character_are_different_words():
    rows = [EMPTY | {"word": word} for word in ("x", "x", "", "\x00")]
    assert_same_bits([EMPTY], rows, FeatureConfig(encoding="one_hot", min_count=1, scale=False), 0)


def test_the_middle_of_two_huge_numbers_is_a_number():
    train = [EMPTY | {"sure": 8.9e307}, EMPTY | {"sure": 9.1e307}]
    assert_same_bits(train, [EMPTY], FeatureConfig(encoding="one_hot", min_count=1, scale=False), 0)


def assert_same_bits(train, rows, config, cut):
    """DataFrame, batch in chunks, single row, unsettled rows of a request, and all of it after a trip through JSON."""
    fitted = FeatureTransformer.fit(settle(pd.DataFrame(train), SPEC)[0], SPEC, config)
    again = FeatureTransformer.from_json(fitted.to_json())
    frame, faults = settle(pd.DataFrame(rows), SPEC)
    assert faults == []
    whole = bits(fitted.transform(frame))
    assert np.isfinite(whole.view(np.float32)).all()
    ways = {
        "after JSON": again.transform(frame),
        "in chunks": np.concatenate([again.transform(part) for part in (frame[:cut], frame[cut:])]),
        "row by row as they came": np.stack([again.transform_row(row) for row in rows]),
        "row by row out of the frame": np.stack([again.transform_row(row) for row in frame.to_dict("records")]),
        "unsettled": again.transform(pd.DataFrame(rows)),
        "chunks settled apart": np.concatenate(
            [fitted.transform(settle(pd.DataFrame([row]), SPEC)[0]) for row in rows]
        ),
    }
    for way, matrix in ways.items():
        np.testing.assert_array_equal(bits(matrix), whole, err_msg=way)
    assert again.digest == fitted.digest


@pytest.fixture(scope="module")
def loans() -> FeatureTransformer:
    return FeatureTransformer.fit(settle(loans_frame(), loans_spec())[0], loans_spec(), FeatureConfig(min_count=2))


def test_names_columns_and_types_say_what_each_feature_is(loans):
    assert loans.feature_names == (
        "born:age_days",
        "born:missing",
        "amount",
        "income",
        "income:missing",
        "children",
        "children:missing",
        "months",
        "purpose=car",
        "purpose=house",
        "purpose=other",
        "purpose=(other)",
        "town=Ashford",
        "town=Brook",
        "town=Cliff",
        "town=(other)",
        "town=(missing)",
        "owner",
        "owner:missing",
    )
    assert loans.feature_columns[:3] == ("born", "born", "amount")
    assert set(loans.feature_types) == {"q"}
    assert loans.n_features == 19
    assert loans.columns == ("born", "asked", "amount", "income", "children", "months", "purpose", "town", "owner")


def test_no_model_sees_the_target_the_id_the_time_or_what_is_no_feature(loans):
    assert not {"repaid", "loan", "asked", "sex"} & set(loans.feature_columns)


def test_only_the_training_rows_decide_the_features(loans):
    strange = loans_frame().assign(amount=9e4, town="Nowhere", income=5e6)
    before = loans.to_json()
    loans.transform(settle(strange, loans_spec())[0])
    assert loans.to_json() == before


def test_values_seen_rarely_and_never_share_a_place():
    frame = loans_frame()
    frame.loc[0, "town"] = "Lonely"
    fitted = FeatureTransformer.fit(settle(frame, loans_spec())[0], loans_spec(), FeatureConfig(min_count=2))
    assert "town=Lonely" not in fitted.feature_names
    place = fitted.feature_names.index("town=(other)")
    rows = [loans_rows(1)[0] | {"town": town} for town in ("Lonely", "Never seen", "Brook")]
    assert [fitted.transform_row(row)[place] for row in rows] == [1, 1, 0]


def test_columns_can_be_left_out_such_as_protected_ones():
    frame = settle(loans_frame(), loans_spec())[0]
    fitted = FeatureTransformer.fit(frame, loans_spec(), FeatureConfig(columns=("amount", "months")))
    assert fitted.feature_names == ("amount", "months")
    with pytest.raises(InvalidInput, match="sex are no features"):
        FeatureTransformer.fit(frame, loans_spec(), FeatureConfig(columns=("sex",)))


def test_a_single_row_takes_less_than_a_third_of_a_millisecond(loans):
    row = loans_rows(1)[0]
    loans.transform_row(row)
    best = min(_seconds(loans, row) for _ in range(5))
    assert best < 0.0003


def _seconds(fitted: FeatureTransformer, row: dict) -> float:
    start = time.perf_counter()
    for _ in range(100):
        fitted.transform_row(row)
    return (time.perf_counter() - start) / 100


def test_missing_columns_are_told_at_once(loans):
    with pytest.raises(InvalidInput, match="no column town, owner"):
        loans.transform(loans_frame().drop(columns=["town", "owner"]))


def test_a_table_without_rows_fits_nothing_and_transforms_to_nothing(loans):
    empty = settle(loans_frame().head(0), loans_spec())[0]
    assert loans.transform(empty).shape == (0, 19)
    with pytest.raises(InvalidInput, match="no row to learn"):
        FeatureTransformer.fit(empty, loans_spec())


@pytest.mark.parametrize(
    "text",
    ["", "{}", '{"version":2,"table":"x","encoders":[]}', '{"version":1,"table":"x","encoders":[{"kind":"pickle"}]}'],
)
def test_what_was_not_saved_by_us_is_refused(text):
    with pytest.raises(InvalidInput, match="no saved features"):
        FeatureTransformer.from_json(text)


def test_the_saved_form_is_json_that_a_person_can_read(loans):
    assert '"column":"amount"' in loans.to_json()
    assert loans.to_json() == FeatureTransformer.from_json(loans.to_json()).to_json()
