import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from retrieval.blocks import Kind, blocks
from retrieval.chunking import ChunkingConfig, Piece, embedding_text, split
from retrieval.embedding import HashingEmbedder

token_spans = HashingEmbedder().token_spans
SMALL = ChunkingConfig(max_tokens=16, overlap_tokens=6, min_tokens=4)

words = st.text(alphabet="abcé", min_size=1, max_size=8)
sentences = st.lists(words, min_size=1, max_size=12).map(lambda parts: " ".join(parts).capitalize() + ".")
paragraphs = st.lists(sentences, min_size=1, max_size=6).map(" ".join)
headings = st.tuples(st.integers(1, 4), words).map(lambda h: "#" * h[0] + " " + h[1])
lists = st.lists(sentences, min_size=1, max_size=8).map(lambda items: "\n".join(f"- {item}" for item in items))
tables = st.lists(st.tuples(words, words), min_size=1, max_size=12).map(
    lambda rows: "\n".join(["| k | v |", "| - | - |", *(f"| {a} | {b} |" for a, b in rows)])
)
fences = st.lists(words, max_size=8).map(lambda lines: "\n".join(["```", *lines, "```"]))
documents = st.lists(st.one_of(headings, paragraphs, lists, tables, fences), max_size=12).map("\n\n".join)
anything = st.text(alphabet="#-=|`* \n\f\x00.aB1é")
configs = st.builds(
    ChunkingConfig,
    max_tokens=st.integers(16, 60),
    overlap_tokens=st.integers(0, 8),
    min_tokens=st.integers(0, 8),
)


def texts(text: str, pieces: list[Piece]) -> list[str]:
    return [text[piece.start : piece.end] for piece in pieces]


@settings(max_examples=60, deadline=None)
@given(st.one_of(documents, anything), configs)
@pytest.mark.slow
def test_pieces_are_sorted_and_cover_every_visible_character(text: str, config: ChunkingConfig):
    pieces = split(text, token_spans, config)
    assert pieces == split(text, token_spans, config)
    assert [p.start for p in pieces] == sorted({p.start for p in pieces})
    assert [p.end for p in pieces] == sorted({p.end for p in pieces})
    covered = {at for piece in pieces for at in range(piece.start, piece.end)}
    assert {at for at, character in enumerate(text) if not character.isspace()} <= covered
    assert all(piece == piece.strip() != "" for piece in texts(text, pieces))


@settings(max_examples=60, deadline=None)
@given(st.one_of(documents, anything), configs)
@pytest.mark.slow
def test_no_piece_has_too_many_tokens(text: str, config: ChunkingConfig):
    for piece in texts(text, split(text, token_spans, config)):
        assert len(token_spans(piece)) <= config.max_tokens


@settings(max_examples=60, deadline=None)
@given(documents, configs)
@pytest.mark.slow
def test_no_piece_is_only_a_heading_unless_nothing_could_hold_it(text: str, config: ChunkingConfig):
    pieces = split(text, token_spans, config)
    for number, piece in enumerate(texts(text, pieces)):
        if all(block.kind is Kind.HEADING for block in blocks(piece)):
            is_last = number == len(pieces) - 1
            assert is_last or len(token_spans(piece)) > config.max_tokens // 2


@settings(max_examples=60, deadline=None)
@given(documents)
@pytest.mark.slow
def test_the_heading_path_is_open_somewhere_in_the_piece_and_exact_where_no_heading_falls_in_it(text: str):
    for piece in split(text, token_spans, SMALL):
        path = tuple(title for title in piece.heading_path if title != "k | v")  # the columns of a cut table
        before, within = open_paths(text, piece)
        if within:
            assert any(opened[: len(path)] == path for opened in (before, *within))
        else:
            assert path == before


def open_paths(text: str, piece: Piece) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the headings open at the start of `piece`, and those open after each heading inside it."""
    opened: list = []
    before: tuple[str, ...] = ()
    within: list[tuple[str, ...]] = []
    for heading in blocks(text):
        if heading.kind is not Kind.HEADING or heading.start >= piece.end:
            continue
        opened = [h for h in opened if h.level < heading.level] + [heading]
        if heading.start < piece.start:
            before = tuple(h.title for h in opened)
        else:
            within.append(tuple(h.title for h in opened))
    return before, within


def test_golden_document():
    text = (
        "# Travel\n\nWe book early.\n\n## Meals\n\n"
        "Breakfast costs up to 12 euros in any country. Dinner costs up to 40 euros in any country. "
        "Alcohol is never paid for.\n\n## Trains\n\nSecond class.\n"
    )
    config = ChunkingConfig(max_tokens=24, overlap_tokens=12, min_tokens=6)
    pieces = split(text, token_spans, config)
    assert [(p.heading_path, text[p.start : p.end]) for p in pieces] == [
        (("Travel",), "# Travel\n\nWe book early."),
        (
            ("Travel", "Meals"),
            "## Meals\n\nBreakfast costs up to 12 euros in any country. Dinner costs up to 40 euros in any country.",
        ),
        (
            ("Travel", "Meals"),
            "Dinner costs up to 40 euros in any country. Alcohol is never paid for.",
        ),
        (("Travel", "Trains"), "## Trains\n\nSecond class."),
    ]


@pytest.mark.parametrize("text", ["", " \n\n\t", "\f"])
def test_a_blank_text_has_no_pieces(text: str):
    assert split(text, token_spans, ChunkingConfig()) == []


@pytest.mark.parametrize("text", ["Hello.", "# Only a title", "# A\n\nx\n\n# B\n\ny\n\n## C\n\n- z\n", "  padded  "])
def test_a_tiny_document_is_one_piece(text: str):
    assert texts(text, split(text, token_spans, ChunkingConfig())) == [text.strip()]


def test_a_table_that_fits_stays_whole_and_one_that_does_not_is_cut_between_rows():
    table = "| city | rate |\n| --- | --- |\n" + "\n".join(f"| city{i} | {i} |" for i in range(30))
    text = f"# Rates\n\n{table}\n"
    (whole,) = split(text, token_spans, ChunkingConfig(max_tokens=400))
    assert text[whole.start : whole.end] == text.strip()
    pieces = split(text, token_spans, ChunkingConfig(max_tokens=40, overlap_tokens=10, min_tokens=10))
    assert len(pieces) > 3
    assert "\n".join(texts(text, pieces)) == text.strip()
    assert pieces[0].heading_path == ("Rates",)
    assert {p.heading_path for p in pieces[1:]} == {("Rates", "city | rate")}


def test_a_list_is_cut_between_items():
    text = "\n".join(f"- item {i} says\n  something long" for i in range(20))
    pieces = split(text, token_spans, SMALL)
    assert len(pieces) > 5
    assert all(piece.startswith("- item") for piece in texts(text, pieces))


def test_a_long_paragraph_overlaps_by_whole_sentences_only():
    text = " ".join(f"This is sentence {i}." for i in range(40))
    pieces = split(text, token_spans, ChunkingConfig(max_tokens=30, overlap_tokens=6, min_tokens=5))
    for before, after in pairwise(pieces):
        assert text[after.start : before.end].startswith("This is sentence")
        assert text[after.start : before.end].count(".") == 1


def test_a_blob_that_is_a_single_token_is_cut_all_the_same():
    text = "x" * 100_000
    assert max(len(piece) for piece in texts(text, split(text, token_spans, ChunkingConfig()))) <= 200 * 40


def test_characters_that_the_tokenizer_drops_are_covered_and_bounded():
    text = "\x00" * 100_000
    pieces = split(text, lambda _: [], ChunkingConfig())
    assert "".join(texts(text, pieces)) == text
    assert len(pieces) > 5


@pytest.mark.parametrize(
    "unit",
    [
        "A sentence of some seven words here. ",
        "word ",
        "# a\n",
        "- a\n\n",
        "| a | b |\n",
        "```\n",
        ".",
        "# A\n\np\n\n- l\n\n",
    ],
)
@pytest.mark.slow
def test_splitting_takes_linear_time(unit: str):
    text = unit * (100_000 // len(unit))
    spans = token_spans(text)
    began = time.process_time()
    split(text, lambda _: spans, ChunkingConfig())
    assert time.process_time() - began < 2  # quadratic would take minutes


def test_token_spans_are_asked_for_once():
    calls: list[int] = []

    def counting(text: str) -> list[tuple[int, int]]:
        calls.append(len(text))
        return token_spans(text)

    split("# A\n\n" + "word " * 5000, counting, ChunkingConfig())
    assert len(calls) == 1


def test_limits_that_contradict_each_other_are_refused():
    with pytest.raises(ValidationError, match="overlap_tokens is 30; at most half of max_tokens"):
        ChunkingConfig(max_tokens=40, overlap_tokens=30, min_tokens=0)


def test_embedding_text_leads_with_title_and_headings_that_the_text_does_not_show():
    assert embedding_text("Handbook", ("Travel", "Meals"), "Breakfast.") == "Handbook > Travel > Meals\nBreakfast."
    assert embedding_text("Handbook", ("Handbook", "Meals"), "## Meals\n\nx") == "Handbook\n## Meals\n\nx"
    assert embedding_text("", (), "x") == "x"


def test_embedding_text_spends_a_bounded_share_on_headings():
    line, _, rest = embedding_text("t", ("long heading " * 50,), "x").partition("\n")
    assert len(line) <= 160
    assert rest == "x"
