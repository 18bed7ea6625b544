import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.overlap import grams, matches, repeats

WORDS = [f"w{i}" for i in range(500)]
TEXT = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=14).map(" ".join)


def brute_force(asked, told, held_out, least):
    """The definition, pair by pair."""
    found = {}
    for j, text in enumerate(held_out):
        wanted = grams(text)
        for i, row in enumerate(told):
            if " ".join(text.split()) in (" ".join(row.split()), " ".join(asked[i].split())):
                found[j] = 1.0
                break
            own = grams(asked[i])
            share = len((grams(row) | own) & wanted) / len(wanted)
            if len(own) >= 4:
                share = max(share, len(own & wanted) / len(own))
            if share >= least:
                found[j] = max(found.get(j, 0), min(share, 0.999))
    return found


@given(st.lists(TEXT, min_size=1, max_size=12), st.lists(TEXT, max_size=5))
@pytest.mark.slow
def test_the_index_finds_what_comparing_every_pair_finds(train, held_out):
    fast = {match.b: match.share for match in matches(train, train, held_out, 0.8)}
    assert fast == pytest.approx(brute_force(train, train, held_out, 0.8))


def test_case_and_whitespace_make_no_difference():
    assert matches(["What is  the\tTime?"], ["x"], ["what is the time?"])[0].is_exact


def test_a_paraphrase_with_four_fifths_of_the_five_grams_is_found_and_with_fewer_is_not():
    words = random.Random(1).sample(WORDS, 54)  # 50 five-grams; each changed word inside takes 5 of them
    near, far = [*words], [*words]
    near[20] = near[40] = "changed"
    far[10] = far[20] = far[40] = "changed"
    train = [" ".join(near), " ".join(far)]
    found = matches(train[:1], train[:1], [" ".join(words)])
    assert [match.share for match in found] == [0.8]
    assert matches(train[1:], train[1:], [" ".join(words)]) == []


def test_a_leak_inside_boilerplate_that_every_row_has_is_found():
    chance = random.Random(2)
    rows = ["please answer the following question now " + " ".join(chance.choices(WORDS, k=30)) for _ in range(1000)]
    copied = rows[700].replace(rows[700].split()[20], "other", 1)
    assert matches(rows, rows, [copied])[0].a == 700


def test_an_answer_that_tells_a_held_out_question_is_found():
    found = matches(
        ["Say it."], ["Say it.\nhow tall is the old tower in metres"], ["How tall is the old tower in metres?"]
    )
    assert [(match.a, match.b) for match in found] == [(0, 0)]


def test_text_without_spaces_has_grams_of_characters():
    assert len(grams("一二三四五六七")) == 3


def test_repeats_point_at_the_first():
    assert repeats(["a b", "c", "A  b", "a b"]) == [(2, 0), (3, 0)]
