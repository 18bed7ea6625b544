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
    ],
)
def test_what_only_looks_alike_is_left(text):
    assert [f.kind for f in personal_data(text) if f.kind != "phone"] == []
    assert "[card]" not in redacted(text)
    assert "[ip]" not in redacted(text)
    if "2026" in text:
        assert redacted(text) == text


@given(st.text(alphabet="a@.-1 4+DE8:\n", max_size=200))
def test_findings_do_not_overlap_and_redaction_removes_them(text):
    found = personal_data(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert not any(f.kind == "email" for f in personal_data(redacted(text)) if "[" not in text)


@pytest.mark.parametrize("text", ["a." * 100_000, "a@" * 100_000, "1 " * 100_000, "A1" * 100_000, "+1 " * 60_000])
def test_long_text_takes_linear_time(text):
    began = time.monotonic()
    personal_data(text)
    assert time.monotonic() - began < 6
