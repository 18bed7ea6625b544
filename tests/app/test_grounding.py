import hashlib
import string
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.grounding import cite, ground, is_true, sentences_of_stream, written_sentences
from data.errors import NotFound
from data.records import Chunk, Hit, SourceRef, Support
from serving.local.grounder import LexicalGrounder

TEXT = "Parents get twenty-two weeks of leave. Tea is free in every kitchen.\n\n| Site | People |\n| --- | --- |\n| Quay | 25 |\n"
OTHER = "The laboratory opens at seven. Visitors wear a badge."


def hit(text: str, identity: str, start: int = 0) -> Hit:
    chunk = Chunk(
        id=f"{identity}#0",
        document_id=identity,
        document_version=1,
        ordinal=0,
        start=start,
        end=start + len(text),
        text=text,
    )
    return Hit(
        chunk=chunk,
        score=1.0,
        sources=(SourceRef(document_id=identity, uri=f"x://{identity}", title=identity, version=1),),
    )


HITS = (hit(TEXT, "doc_a"), hit(OTHER, "doc_b"))
TEXTS = {"doc_a": TEXT, "doc_b": OTHER}


def text_of(identity: str) -> str:
    if identity not in TEXTS:
        raise NotFound(identity)
    return TEXTS[identity]


def grounded(text: str, hits=HITS, texts=text_of):
    return [ground(written, hits, LexicalGrounder(), texts) for written in written_sentences(text)]


def read(text: str) -> list[tuple[str, tuple[int, ...]]]:
    return [(w.text, w.sources) for w in written_sentences(text)]


# -- reading markers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is so [1].", [("It is so.", (1,))]),
        ("It is so.[1] And this.[2]", [("It is so.", (1,)), ("And this.", (2,))]),
        ("It is so. [1] And this. [2]", [("It is so.", (1,)), ("And this.", (2,))]),
        ("It is so [1][2].", [("It is so.", (1, 2))]),
        ("It is so [1, 3].", [("It is so.", (1, 3))]),
        ("It is so [1;2,2].", [("It is so.", (1, 2))]),
        ("It is so [2-4].", [("It is so.", (2, 3, 4))]),
        ("It is so [4–2].", [("It is so.", (2, 3, 4))]),
        ("It is so [^1].", [("It is so.", (1,))]),
        ("It is so【3†source】.", [("It is so.", (3,))]),
        ("It is so (source 2).", [("It is so.", (2,))]),
        ("It is so [1](https://evil.example/x).", [("It is so.", (1,))]),
        ("[2] It is so.", [("It is so.", (2,))]),
        ("- First [1]\n- Second [2]\n", [("First", (1,)), ("Second", (2,))]),
        ("1. First [1]\n2. Second [2]", [("First", (1,)), ("Second", (2,))]),
        ("They are [sic] here.", [("They are [sic] here.", ())]),
        ("", []),
        ("[1] [2]", []),
    ],
)
def test_markers_are_read_in_every_form_that_models_write(text, expected):
    assert read(text) == expected


def test_a_huge_range_is_bounded():
    ((_, sources),) = read("It is so [1-9999].")
    assert len(sources) <= 21


@pytest.mark.parametrize(
    "text",
    [
        "See [here](https://evil.example/a) now.",
        "See ![pixel](https://evil.example/p.png?q=secret) now.",
        "See [[here](x)](javascript:alert(1)) now.",
        "See <img src=x onerror=alert(1)> now.",
        "See <script>alert(1)</script> now.",
        "See <scr<b>ipt>alert(1) now.",
        "See <img src=x onerror=alert(1) now.",
        "See https://evil.example/a now.",
        "See www.evil.example now.",
        "See [here[1]](https://evil.example) now.",
        "See <https://evil.example> now.",
        "See [a. B](https://evil.example) now.",
    ],
)
def test_links_pictures_and_markup_are_gone(text):
    left = " ".join(said for said, _ in read(text))
    assert left.startswith("See")
    assert left.endswith("now.")
    for trace in ("evil", "](", "<img", "<scr", "<b", "javascript:", "http"):
        assert trace not in left


def test_less_than_stays_readable():
    assert read("Use it where x <y and 3 < 4.") == [("Use it where x < y and 3 < 4.", ())]


# -- streaming

_PIECES = (
    "Tea is free|.| |\n|[1]|[|]|[2, 3]|(source 1)|Dr|no|7|And|- |1. |!|?|<b>|](x)|http://x.y|。|」|**|e.g|„|\n\n|# "
)
_pieces = st.lists(st.sampled_from(_PIECES.split("|")), max_size=30)
_texts = _pieces.map("".join) | st.text(alphabet="aA1.!? \n[](),;:-*#<>【】。\"'/", max_size=60)


@given(text=_texts, cuts=st.lists(st.integers(0, 200), max_size=12))
def test_any_cut_of_a_text_into_pieces_gives_the_same_sentences(text, cuts):
    at = sorted({0, len(text), *(c for c in cuts if c < len(text))})
    pieces = [text[a:b] for a, b in pairwise(at)]
    assert list(sentences_of_stream(pieces)) == written_sentences(text)
    assert list(sentences_of_stream(text)) == written_sentences(text)


def test_a_sentence_comes_as_soon_as_the_next_one_begins():
    came = []
    pieces = ["Tea is ", "free.", " [1]", " Visi", "tors wear", " a badge."]

    def told():
        for piece in pieces:
            came.append(len(said))
            yield piece

    said = []
    for written in sentences_of_stream(told()):
        said.append(written)
    assert came == [0, 0, 0, 0, 1, 1]
    assert [w.sources for w in said] == [(1,), ()]


# -- grounding


def test_a_true_citation_is_narrowed_to_the_sentence_that_supports_it():
    ((sentence, dropped),) = grounded("Tea is free in every kitchen [1].")
    assert (sentence.support, dropped) == (Support.SUPPORTED, 0)
    assert [c.quote for c in sentence.citations] == ["Tea is free in every kitchen."]


def test_a_table_row_is_cited_as_a_row():
    ((sentence, _),) = grounded("The site Quay has 25 people [1].")
    assert [c.quote for c in sentence.citations] == ["| Quay | 25 |"]


@pytest.mark.parametrize(
    ("text", "n_dropped"),
    [
        ("Tea is free in every kitchen [7].", 1),
        ("Tea is free in every kitchen [0].", 1),
        ("Tea is free in every kitchen [5-8].", 4),
        ("Tea is free in every kitchen [2].", 1),  # another chunk, which says something else
        ("Parents get twenty-nine horses of gold [1].", 1),
    ],
)
def test_markers_that_prove_nothing_are_dropped_and_counted(text, n_dropped):
    ((sentence, dropped),) = grounded(text)
    assert (sentence.support, sentence.citations, dropped) == (Support.UNSUPPORTED, (), n_dropped)


def test_a_wrong_marker_beside_a_right_one_is_dropped_alone():
    ((sentence, dropped),) = grounded("Tea is free in every kitchen [1][2][9].")
    assert [c.document_id for c in sentence.citations] == ["doc_a"]
    assert (sentence.support, dropped) == (Support.SUPPORTED, 2)


def test_two_sources_may_support_a_sentence_together():
    ((sentence, dropped),) = grounded("Tea is free in the kitchen and the laboratory opens at seven [1][2].")
    assert {c.document_id for c in sentence.citations} == {"doc_a", "doc_b"}
    assert (sentence.support, dropped) == (Support.SUPPORTED, 0)


def test_two_neighbouring_sentences_may_support_one():
    ((sentence, _),) = grounded("Visitors of the laboratory that opens at seven daily wear a badge [2].")
    assert [c.quote for c in sentence.citations] == [OTHER]


@pytest.mark.parametrize("text", ["The site Quay has 52 people [1].", "Tea is not free in every kitchen [1]."])
def test_a_changed_number_or_a_turned_negation_is_no_support(text):
    ((sentence, dropped),) = grounded(text)
    assert (sentence.support, sentence.citations, dropped) == (Support.UNSUPPORTED, (), 1)


# -- the promise


@pytest.mark.parametrize(
    "tampered",
    [
        {"doc_a": TEXT.replace("Tea", "Rum"), "doc_b": OTHER},
        {"doc_a": " " + TEXT, "doc_b": OTHER},
        {"doc_a": "", "doc_b": OTHER},
        {"doc_b": OTHER},
    ],
)
def test_a_quote_that_is_not_in_the_document_cannot_leave(tampered):
    def tampered_text_of(identity):
        if identity not in tampered:
            raise NotFound(identity)
        return tampered[identity]

    ((sentence, dropped),) = grounded("Tea is free in every kitchen [1].", texts=tampered_text_of)
    assert (sentence.citations, sentence.support, dropped) == ((), Support.UNSUPPORTED, 1)


def test_a_chunk_that_is_not_its_documents_text_cannot_be_cited():
    forged = (hit("Tea costs nine euros.", "doc_a"),)
    ((sentence, dropped),) = grounded("Tea costs nine euros [1].", hits=forged)
    assert (sentence.citations, dropped) == ((), 1)


@pytest.mark.parametrize(
    "change",
    [
        {"start": -6, "end": 0},
        {"start": 5, "end": 5, "quote": ""},
        {"quote": "Tea"},
        {"quote_sha256": "0" * 64},
        {"start": 1},
    ],
)
def test_a_citation_with_any_field_changed_is_untrue(change):
    citation = cite(HITS[0], 0, 38)
    assert is_true(citation, text_of)
    if "quote" in change and "quote_sha256" not in change:
        change = change | {"quote_sha256": hashlib.sha256(change["quote"].encode()).hexdigest()}
    assert not is_true(citation.model_copy(update=change), text_of)


_words = st.sampled_from(sorted(set(TEXT.split() + OTHER.split())))
_markers = st.sampled_from(
    ["[1]", "[2]", "[9]", "[0]", "[1-3]", "(source 2)", "【1】", "[1](x)", "[", "]", "\x00", "\u202e"]
)
_hostile = st.lists(_words | _markers | st.text(string.printable, max_size=8), max_size=25).map(" ".join)


@given(text=_hostile, cut=st.integers(0, len(TEXT)), insert=st.sampled_from(["", "x", "\n\n", "Rum "]))
def test_whatever_a_model_writes_and_the_store_holds_every_citation_that_leaves_is_true(text, cut, insert):
    stored = {"doc_a": TEXT[:cut] + insert + TEXT[cut:], "doc_b": OTHER}
    for sentence, dropped in grounded(text, texts=stored.__getitem__):
        assert dropped >= 0
        assert bool(sentence.citations) == (sentence.support is Support.SUPPORTED)
        for c in sentence.citations:
            assert stored[c.document_id][c.start : c.end] == c.quote
            assert hashlib.sha256(c.quote.encode()).hexdigest() == c.quote_sha256
        for trace in ("](", "<a", "<i", "\x00", "\u202e"):
            assert trace not in sentence.text
