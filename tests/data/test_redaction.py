import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.redaction import personal_data, redacted


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [
        ("Write to ada.byron+x@mail.example.org now", "email", "ada.byron+x@mail.example.org"),
        ("Card 4111 1111 1111 1111 is", "card", "4111 1111 1111 1111"),
        ("Pay to DE89 3704 0044 0532 0130 00 today", "iban", "DE89 3704 0044 0532 0130 00"),
        ("SSN 078-05-1120.", "ssn", "078-05-1120"),
        ("From 192.168.10.254:", "ip", "192.168.10.254"),
        ("Call +44 20 7946 0958 or", "phone", "+44 20 7946 0958"),
        ("the account gb82west12345698765432 is hers", "iban", "gb82west12345698765432"),
        ("IBAN GB82 WEST 1234 5698 7654 32 AND NO OTHER", "iban", "GB82 WEST 1234 5698 7654 32"),
        ("from 2001:db8:0:1::7 today", "ip", "2001:db8:0:1::7"),
        ("her social security number is 078 05 1120", "ssn", "078 05 1120"),
        ("(555) 010-4477 is the front desk", "phone", "(555) 010-4477"),
        ("ask 555-010-4477x12 first", "phone", "555-010-4477x12"),
        ("my new number is 5550104477", "phone", "5550104477"),
        ("73 448 266 fax", "phone", "73 448 266"),
    ],
)
def test_each_kind_is_found_where_it_is(text, kind, found):
    (only,) = personal_data(text)
    assert (only.kind, text[only.start : only.end]) == (kind, found)
    assert redacted(text) == text.replace(found, f"[{kind}]")


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112 fails its checksum by one",
        "GB82 WEST 1234 5698 7654 33",
        "due 2026-11-24 or 24.11.2026",
        "version 1.2.3, section 4.5",
        "999.300.1.1 is no address",
        "name@host without a dot",
        "078 05 1120 units were sold",
        "000-12-3456 and 078-00-1120 were never given out",
        "0000 0000 0000 0000",
        "see article 1.3.3.1 or version 10.0.0.1",
        "std::cout at 12:30:45",
        "GB82 WEST 1234 5698 7654 3",
    ],
)
def test_what_only_looks_alike_is_left(text):
    assert [f.kind for f in personal_data(text) if f.kind != "phone"] == []
    assert "[card]" not in redacted(text)
    assert "[ip]" not in redacted(text)
    if "2026" in text:
        assert redacted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "10 20 30 and 2020 2021 2022 in a row",
        "order number 555-010-4477",
        "5550104477 rows were read",
        "between 1998-2004, pages 120-145-150",
        "called on 12.05.2019",
        "PO box 20892-3655 Phone: none",
    ],
)
def test_figures_are_no_phone_numbers(text):
    assert personal_data(text) == []


def test_web_addresses_are_found_only_when_asked_for():
    text = "See https://example.org/a?b=1, www.example.net and notes.md."
    assert personal_data(text) == []
    found = [text[f.start : f.end] for f in personal_data(text, ["url"])]
    assert found == ["https://example.org/a?b=1", "www.example.net"]


@given(st.text(alphabet="a@.-1 4+DE8:\n", max_size=200))
def test_findings_do_not_overlap_and_redaction_removes_them(text):
    found = personal_data(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert not any(f.kind == "email" for f in personal_data(redacted(text)) if "[" not in text)


@pytest.mark.parametrize(
    "text",
    [
        "a." * 100_000,
        "a@" * 100_000,
        "1 " * 100_000,
        "A1" * 100_000,
        "+1 " * 60_000,
        "a.b" * 60_000,
        "f:" * 90_000,
        "call me at " * 9_000,
    ],
)
@pytest.mark.slow
def test_long_text_takes_linear_time(text):
    began = time.monotonic()
    personal_data(text)
    assert time.monotonic() - began < 6
