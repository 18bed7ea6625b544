from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import InvalidInput
from data.records import Filter, FilterOp
from retrieval.filters import condition
from tests.retrieval.conftest import Library

EQUALS, IN, RANGE, PREFIX = FilterOp.EQUALS, FilterOp.IN, FilterOp.RANGE, FilterOp.PREFIX


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    library = Library(tmp_path_factory.mktemp("years"))
    library.add({"old": "words one"}, metadata={"year": 2024, "team": "eng", "final": True, "odd name/1": "x"})
    library.add({"new": "words two"}, metadata={"year": 2026, "team": "english", "final": False})
    library.add({"mixed": "words three"}, metadata={"year": "unknown", "team": "50%", "final": 1})
    library.add({"bare": "words four"})
    yield library
    library.close()


@pytest.mark.parametrize(
    ("field", "op", "given_", "expected"),
    [
        ("year", EQUALS, {"value": 2024}, {"old"}),
        ("year", EQUALS, {"value": 2024.0}, {"old"}),
        ("year", EQUALS, {"value": "2024"}, set()),
        ("year", EQUALS, {"value": 0}, set()),
        ("year", EQUALS, {"value": "unknown"}, {"mixed"}),
        ("year", IN, {"values": (2024, 2026)}, {"old", "new"}),
        ("year", RANGE, {"gte": 2024, "lt": 2026}, {"old"}),
        ("year", RANGE, {"gt": 2024, "lte": 2026}, {"new"}),
        ("year", RANGE, {"gt": "a"}, {"mixed"}),
        ("final", EQUALS, {"value": True}, {"old"}),
        ("final", EQUALS, {"value": 1}, {"mixed"}),
        ("team", PREFIX, {"value": "eng"}, {"old", "new"}),
        ("team", PREFIX, {"value": "50%"}, {"mixed"}),
        ("team", PREFIX, {"value": "5_"}, set()),
        ("odd name/1", EQUALS, {"value": "x"}, {"old"}),
        ("uri", IN, {"values": ("old", "bare")}, {"old", "bare"}),
        ("title", PREFIX, {"value": "b"}, {"bare"}),
        ("version", EQUALS, {"value": 1}, {"old", "new", "mixed", "bare"}),
        ("version", RANGE, {"gt": 1}, set()),
        ("ingested_at", RANGE, {"gte": "2020-01-01"}, {"old", "new", "mixed", "bare"}),
        ("ingested_at", RANGE, {"lt": "2020-01-01T00:00:00+02:00"}, set()),
        ("absent", EQUALS, {"value": 1}, set()),
    ],
)
@pytest.mark.parametrize("mode", ["lexical", "dense"])
def test_each_operator_admits_exactly_what_it_says(years, field, op, given_, expected, mode):
    wanted = Filter(field=field, op=op, **given_)
    assert set(years.found("words", filters=(wanted,), mode=mode, k=10)) == expected


def test_equal_looking_values_of_other_types_are_other_filters(years):
    for value, expected in ((True, ["old"]), (1, ["mixed"]), (True, ["old"])):
        assert years.found("words", filters=(Filter(field="final", value=value),)) == expected


def test_several_filters_must_all_hold(years):
    both = (Filter(field="team", op=PREFIX, value="eng"), Filter(field="year", op=RANGE, gt=2025))
    assert years.found("words", filters=both) == ["new"]


@pytest.mark.parametrize(
    "wrong",
    [
        Filter(field="x' or 1=1 --", value=1),
        Filter(field='a"b', value=1),
        Filter(field="year"),
        Filter(field="year", op=IN),
        Filter(field="year", op=IN, values=(1, "a")),
        Filter(field="year", op=PREFIX, value=5),
        Filter(field="year", op=RANGE),
        Filter(field="version", value="one"),
        Filter(field="title", value=5),
        Filter(field="ingested_at", op=RANGE, gte="yesterday"),
        Filter(field="ingested_at", op=PREFIX, value="2026"),
        Filter(field="team", value="a\x00b"),
        Filter(field="year", op=RANGE, gte=10**400),
    ],
)
def test_a_filter_that_cannot_be_is_refused_by_name(wrong):
    with pytest.raises(InvalidInput) as caught:
        condition(wrong)
    assert caught.value.field == "filters"


@given(st.text(max_size=20), st.one_of(st.text(max_size=20), st.integers(), st.floats(), st.booleans()))
def test_any_field_and_value_gives_a_condition_or_a_refusal(field, value):
    with suppress(InvalidInput):
        assert condition(Filter.model_construct(field=field, op=EQUALS, value=value)) is not None
