import json

import pytest

from data.errors import InvalidInput
from evals.pii import Marked, load_marked, measure


def found(*spans):
    return lambda _: list(spans)


def test_precision_recall_and_f2_are_those_worked_by_hand():
    rows = [Marked("a@b.example and 555-010-4477 today", (("EMAIL_ADDRESS", 0, 11), ("PHONE_NUMBER", 16, 28)))]
    report = measure(rows, found(("email", 0, 11), ("email", 29, 34)))
    email = report["kinds"]["email"]
    assert (email["precision"], email["recall"], email["exact"], email["whole"]) == (0.5, 1.0, 1.0, 1.0)
    assert email["f2"] == pytest.approx(5 * 0.5 / (4 * 0.5 + 1), abs=1e-4)
    assert report["kinds"]["phone"]["recall"] == 0.0
    assert report["kinds"]["phone"]["precision"] is None
    assert report["all_claimed"]["recall"] == 0.5
    assert report["false_alarms_on"] == {"email": {"nothing marked": 1}}


def test_half_a_number_counts_as_recalled_but_not_as_whole_or_exact():
    rows = [Marked("call 555-010-4477", (("PHONE_NUMBER", 5, 17),))]
    phone = measure(rows, found(("phone", 5, 12)))["kinds"]["phone"]
    assert (phone["recall"], phone["whole"], phone["exact"]) == (1.0, 0.0, 0.0)


def test_a_span_taken_for_another_type_is_a_miss_and_a_false_alarm_though_nothing_leaks():
    rows = [Marked("4111111111111111", (("CREDIT_CARD", 0, 16),))]
    report = measure(rows, found(("phone", 0, 16)))
    assert report["kinds"]["card"]["recall"] == 0.0
    assert report["kinds"]["card"]["whole"] == 1.0
    assert report["false_alarms_on"] == {"phone": {"CREDIT_CARD": 1}}


def test_types_that_nobody_claims_are_listed_and_not_scored():
    report = measure([Marked("Ada lives here", (("PERSON", 0, 3),))], found())
    assert report["not_claimed"] == {"PERSON": {"spans": 1, "covered_by_chance": 0}}
    assert report["kinds"] == {}
    assert report["all_claimed"]["recall"] is None


def test_both_spellings_of_offsets_are_read(tmp_path):
    row = {"full_text": "a@b.example", "spans": [{"entity_type": "EMAIL_ADDRESS", "start": 0, "end": 11}]}
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    assert load_marked(tmp_path / "x.jsonl") == [Marked("a@b.example", (("EMAIL_ADDRESS", 0, 11),))]


@pytest.mark.parametrize(
    "row",
    [
        {"full_text": 3, "spans": []},
        {"full_text": "x"},
        {"full_text": "x", "spans": [{"entity_type": "A", "start_position": 0, "end_position": 9}]},
        {"full_text": "x", "spans": [{"start_position": 0, "end_position": 1}]},
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_its_number(tmp_path, row):
    (tmp_path / "x.jsonl").write_text(json.dumps({"full_text": "", "spans": []}) + "\n" + json.dumps(row))
    with pytest.raises(InvalidInput, match="row 2 does not fit"):
        load_marked(tmp_path / "x.jsonl")
