import pytest

from evals.scorers.evidence import coverage, is_document


@pytest.mark.parametrize(
    ("uri", "wanted", "holds"),
    [
        ("file:///docs/people/leave.md", "people/leave.md", True),
        ("people/leave.md", "people/leave.md", True),
        ("file:///docs/other-people/leave.md", "people/leave.md", False),
        ("file:///docs/people/leave.md.bak", "people/leave.md", False),
    ],
)
def test_a_document_is_named_by_the_end_of_its_path(uri, wanted, holds):
    assert is_document(uri, wanted) is holds


@pytest.mark.parametrize(
    ("text", "quote", "share"),
    [
        ("He said: tea is FREE, always.", "Tea is free", 1.0),
        ("free", "Tea is free", 1.0),
        ("Coffee is free", "Tea is free", 2 / 3),
        ("entirely different", "Tea is free", 0.0),
        ("", "Tea", 0.0),
        ("Tea", "", 0.0),
        ("steam is free", "tea is free", 2 / 3),
    ],
)
def test_how_much_of_a_quote_a_text_holds(text, quote, share):
    assert coverage(text, quote) == pytest.approx(share)
