from finetune.encoders.built_rows import BuiltRow
from finetune.encoders.lexical_index import LexicalIndex
from finetune.encoders.pair_negatives import hard_negatives
from finetune.rows import normalised
from tests.finetune.encoders.conftest import CITIES, PEOPLE, resident


def pair(query, positive, negatives=()):
    return BuiltRow(query, {"query": query, "positive": positive, "negatives": tuple(negatives)}, query)


PAIRS = [pair(f"where does {person} live in {city} ?", resident(person, city)) for person in PEOPLE for city in CITIES]


def test_a_negative_is_never_an_answer_to_its_query_in_any_row():
    doubled = [*PAIRS, *(pair(row.fields["query"], f"in {row.fields['positive']} Yes.") for row in PAIRS[:40])]
    right = {}
    for row in doubled:
        right.setdefault(row.fields["query"], set()).add(normalised(row.fields["positive"]))
    for row, wrong in zip(doubled, hard_negatives(doubled, 4, 10, seed=1), strict=True):
        assert len(set(wrong)) == 4
        assert not {normalised(text) for text in wrong} & right[row.fields["query"]]


def test_mined_negatives_share_words_with_the_query():
    found = hard_negatives(PAIRS, 3, 8, seed=1)
    for row, wrong in zip(PAIRS, found, strict=True):
        words = row.fields["query"].split()
        assert all(words[2] in text or words[5] in text for text in wrong)


def test_a_text_that_nearly_equals_the_right_one_is_no_negative():
    answer = "the river runs through the old city of lima and stands near the bridge"
    rows = [pair("what runs through lima ?", answer), pair("other ?", f"{answer} ."), *PAIRS]
    wrong = hard_negatives(rows, 5, 100, seed=1)[0]
    assert f"{answer} ." not in wrong


def test_a_rows_own_negatives_come_first():
    rows = [pair("where ?", "in oslo .", ["in lima .", "in oslo ."]), *PAIRS]
    assert "in lima ." in hard_negatives(rows, 2, 10, seed=1)[0]
    assert "in oslo ." not in hard_negatives(rows, 2, 10, seed=1)[0]


def test_a_small_corpus_yields_what_it_has():
    rows = [pair("a ?", "one"), pair("b ?", "two")]
    assert hard_negatives(rows, 4, 10, seed=1) == [("two",), ("one",)]
    assert hard_negatives(rows, 0, 10, seed=1) == [(), ()]


def test_the_index_finds_the_text_with_the_rare_word_first():
    index = LexicalIndex(["the city is old", "the city is new", "the doctor of minsk is old"])
    assert index.search(["is the doctor in ?", "new"], 2) == [[2, 0], [1, 0]]
