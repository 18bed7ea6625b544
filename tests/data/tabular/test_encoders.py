from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from data.errors import InvalidInput
from data.tabular.encoders import CategoryEncoder, DateEncoder, NumberEncoder, Scale, date_part


@pytest.mark.parametrize("part", ["year", "month", "day", "weekday", "hour", "quarter"])
def test_parts_of_dates_are_those_of_the_calendar(part):
    start = datetime(1899, 12, 25, 5, tzinfo=UTC)
    moments = [start + timedelta(hours=7 * step) for step in range(0, 250_000, 37)]
    seconds = np.array([int(one.timestamp()) for one in moments], dtype=np.int64)
    theirs = pd.DatetimeIndex(moments)
    assert date_part(part, seconds).tolist() == list(getattr(theirs, part))
    assert date_part(part, int(seconds[7])) == getattr(theirs, part)[7]


def test_a_scale_has_mean_zero_and_deviation_one():
    values = np.array([1.0, 2.0, 3.0, 10.0])
    scaled = Scale.of(values, scale=True).bulk(values, np.zeros(4, dtype=bool))
    assert scaled.mean() == pytest.approx(0, abs=1e-12)
    assert scaled.std() == pytest.approx(1)


def test_missing_numbers_take_the_median():
    scale = Scale.of(np.array([1.0, 2.0, 30.0]), scale=False)
    assert scale.bulk(np.array([np.nan]), np.array([True])).tolist() == [2.0]


@pytest.mark.parametrize("values", [[], [5.0, 5.0], [1e308, -1e308, 1e308]])
def test_columns_without_spread_or_beyond_counting_stay_finite(values):
    scale = Scale.of(np.array(values), scale=True)
    assert np.isfinite(scale.bulk(np.array([1e308, -1e308, 0.0]), np.zeros(3, dtype=bool))).all()


def put(encoder, row: dict) -> list[float]:
    out: list[float] = []
    encoder.for_row()(row, out)
    return out


def test_a_category_has_a_place_for_each_value_for_others_and_for_missing():
    encoder = CategoryEncoder(column="make", values=("Honda", "VW"), nullable=True)
    assert encoder.names == ("make=Honda", "make=VW", "make=(other)", "make=(missing)")
    assert put(encoder, {"make": "VW"}) == [0, 1, 0, 0]
    assert put(encoder, {"make": "Lada"}) == [0, 0, 1, 0]
    assert put(encoder, {}) == put(encoder, {"make": None}) == put(encoder, {"make": float("nan")}) == [0, 0, 0, 1]


def test_codes_are_one_number_per_column():
    encoder = CategoryEncoder(column="make", values=("Honda", "VW"), nullable=True, as_codes=True)
    assert (encoder.names, encoder.types) == (("make",), ("c",))
    assert [put(encoder, {"make": one})[0] for one in ("Honda", "VW", "Lada", None)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("encoder", "value", "told"),
    [
        (NumberEncoder(column="age"), "old", "age: 'old' is not a number"),
        (NumberEncoder(column="age"), None, "age: None is not given"),
        (NumberEncoder(column="age"), float("inf"), "age: inf is not finite"),
        (NumberEncoder(column="age", is_boolean=True), "perhaps", "'perhaps' is not true or false"),
        (CategoryEncoder(column="age", values=("a",)), None, "age: None is not given"),
        (DateEncoder(column="age", parts=("month",), part_scales=(Scale(),)), "soon", "'soon' is not a date"),
        (DateEncoder(column="age", parts=("month",), part_scales=(Scale(),)), None, "age: None is not given"),
    ],
)
def test_a_value_that_has_no_place_is_refused_in_bulk_and_by_row(encoder, value, told):
    with pytest.raises(InvalidInput) as one:
        put(encoder, {"age": value})
    assert told in str(one.value)
    out = np.empty((1, len(encoder.names)), dtype=np.float32)
    with pytest.raises(InvalidInput) as bulk:
        encoder.fill(pd.DataFrame({"age": pd.Series([value], dtype=object)}), out)
    assert f"row 0, {told}" in str(bulk.value) or told in str(bulk.value)
    assert bulk.value.field == "age"


def test_a_moment_means_the_same_second_however_it_is_written():
    encoder = DateEncoder(column="at")
    written = [
        "2024-03-01T12:00:00",
        "2024-03-01 12:00:00.250",
        "2024-03-01T14:00:00+02:00",
        "2024-03-01T12:00:00Z",
        datetime(2024, 3, 1, 12),
        datetime(2024, 3, 1, 12, tzinfo=UTC),
        pd.Timestamp("2024-03-01 12:00:00.999"),
        np.datetime64("2024-03-01T12:00:00"),
    ]
    assert {encoder.second_of(one) for one in written} == {1_709_294_400}
    assert encoder.second_of(datetime(2024, 3, 1).date()) == 1_709_251_200


def test_days_to_another_date_are_counted():
    encoder = DateEncoder(column="born", age_at="at")
    assert put(encoder, {"born": "2000-01-01", "at": "2000-01-11T12:00:00"}) == [10.5]
    assert put(encoder, {"born": "2000-01-01", "at": None}) == [0.0]  # the median, here unlearned


def test_words_for_missing_hold_for_numbers_too():
    encoder = NumberEncoder(column="age", missing=("0", "?"), nullable=True, scale=Scale(fill=33.0))
    assert put(encoder, {"age": 0}) == put(encoder, {"age": "?"}) == put(encoder, {"age": 0.0}) == [33.0, 1.0]
    out = np.empty((3, 2), dtype=np.float32)
    encoder.fill(pd.DataFrame({"age": [0, 5, 0]}), out)
    assert out.tolist() == [[33, 1], [5, 0], [33, 1]]
