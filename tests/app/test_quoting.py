import pytest

from app.quoting import is_told, quotes
from data.records import Support
from serving.local.reader import Draft, Extract
from tests.app.test_grounding import HITS, OTHER, TEXT, TEXTS, text_of

FREE = "Tea is free in every kitchen."
ROW = "| Quay | 25 |"


def draft(*quoted: str) -> Draft:
    hit = HITS[0]
    places = [(TEXT.index(q), TEXT.index(q) + len(q)) for q in quoted]
    return Draft(tuple(Extract(hit, s, e, TEXT[s:e], 0.9) for s, e in places), 0.9)


def test_an_extract_becomes_a_sentence_that_cites_itself():
    (sentence,) = quotes(draft(FREE), text_of)
    (citation,) = sentence.citations
    assert (sentence.text, citation.quote, citation.support) == (FREE, FREE, 1.0)
    assert sentence.support is Support.SUPPORTED


def test_a_table_row_is_said_as_running_text_and_cited_as_it_stands():
    (sentence,) = quotes(draft(ROW), text_of)
    assert (sentence.text, sentence.citations[0].quote) == ("Quay, 25", ROW)


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("Tea is free [1].", "Tea is free."),
        ("Tea is free [2, 4-6][7].", "Tea is free."),
        ("Tea is free 【1†source】.", "Tea is free."),
        ("Tea is free (source 1), coffee is not.", "Tea is free, coffee is not."),
        ("Tea is free ([the kitchen rules](https://evil.example/x)) [1].", "Tea is free (the kitchen rules)."),
        ("The first is rows[1], the next f[i](x).", "The first is rows[1], the next f[i](x)."),
        ("[1]", "[1]"),
        ("Tea is free [1], [2]; [3].", "Tea is free."),
        ("As stated in the kitchen rules: Tea is free.", "Tea is free."),
        ("According to Kitchens (rules/kitchens.pdf): Tea is free.", "Tea is free."),
        ("Source: rules/kitchens.pdf: Tea is free [1].", "Tea is free."),
        ("According to the maker, tea is free.", "According to the maker, tea is free."),
        ("As long as it lasts: tea is free.", "As long as it lasts: tea is free."),
        (
            "As set out in 2019, tea has two kinds: green and black.",
            "As set out in 2019, tea has two kinds: green and black.",
        ),
        (
            "As said by the cook tea comes in just two kinds: green, black.",
            "As said by the cook tea comes in just two kinds: green, black.",
        ),
        ("Source: rules/kitchens.pdf", "Source: rules/kitchens.pdf"),
    ],
)
def test_a_sources_own_citation_marks_do_not_pass_for_ours_and_the_quote_stays_exact(stored, said):
    hit = HITS[0].model_copy(
        update={"chunk": HITS[0].chunk.model_copy(update={"text": stored, "start": 0, "end": len(stored)})}
    )
    (sentence,) = quotes(Draft((Extract(hit, 0, len(stored), stored, 0.9),), 0.9), lambda _: stored)
    assert (sentence.text, sentence.citations[0].quote) == (said, stored)


def test_what_the_stored_text_does_not_say_any_more_is_not_quoted():
    changed = TEXTS | {"doc_a": TEXT.replace("free", "dear")}
    assert quotes(draft(FREE), changed.__getitem__) == []


@pytest.mark.parametrize(
    ("said", "told"), [((FREE,), True), (("Tea is free",), True), (("Parents get",), False), ((), False)]
)
def test_a_quote_is_told_where_a_sentence_cites_part_of_it(said, told):
    (quoted,) = quotes(draft(FREE), text_of)
    assert is_told(quoted, quotes(draft(*said), text_of)) is told
    assert OTHER not in quoted.text
