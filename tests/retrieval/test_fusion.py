import math
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fusion import FusionConfig, dense_share, fuse

CONFIG = FusionConfig()
scores = st.dictionaries(st.integers(1, 60), st.floats(0.01, 60).map(lambda s: round(s, 4)), max_size=40)
cosines = st.dictionaries(st.integers(1, 60), st.floats(-1, 1).map(lambda s: round(s, 6)), max_size=40)


def falling(first, lead, n=20):
    """A list whose first score is `lead` above all others."""
    return {1: first} | dict.fromkeys(range(2, n + 1), first - lead)


def test_the_share_of_the_cosine_is_worked_by_hand():
    # exp(.3 + 4.5 * .6 + 6 * .2 - 3.5 * 8 / 16) = exp(2.45) = 11.588; over the root of 16: 11.588 / (11.588 + 4)
    share = dense_share(falling(16.0, 8.0), falling(0.6, 0.2), CONFIG)
    assert share == pytest.approx(11.588 / 15.588, abs=1e-4)


def test_the_fused_score_is_the_convex_combination_worked_by_hand():
    lexical, dense = falling(16.0, 8.0), falling(0.6, 0.2)
    share = dense_share(lexical, dense, CONFIG)
    found = dict(fuse(lexical, dense))
    assert found[1] == pytest.approx((1 - share) * 1 + share * 0.6, abs=1e-6)
    assert found[2] == pytest.approx((1 - share) * 0.5 + share * 0.4, abs=1e-6)


def test_the_list_whose_top_stands_out_weighs_more():
    plain = dense_share(falling(16.0, 6.0), falling(0.5, 0.15), CONFIG)
    assert dense_share(falling(16.0, 12.0), falling(0.5, 0.15), CONFIG) < plain
    assert dense_share(falling(16.0, 6.0), falling(0.5, 0.30), CONFIG) > plain
    assert dense_share(falling(16.0, 6.0), falling(0.7, 0.15), CONFIG) > plain


def test_what_only_one_list_ranks_high_wins_when_that_list_is_sure():
    """Chunk 1 is the best of the words, chunk 2 of the vectors; both have both scores."""
    sure_words = fuse({1: 30.0, 2: 4.0, 3: 4.0}, {1: 0.20, 2: 0.30, 3: 0.25})
    sure_vectors = fuse({1: 5.0, 2: 4.6, **dict.fromkeys(range(3, 20), 4.5)}, {2: 0.8, 1: 0.3})
    assert sure_words[0][0] == 1
    assert sure_vectors[0][0] == 2


def test_with_one_list_alone_its_order_stays():
    assert [i for i, _ in fuse({1: 2.0, 2: 5.0, 3: 1.0}, {})] == [2, 1, 3]
    assert [i for i, _ in fuse({}, {1: 0.2, 2: -0.1, 3: 0.4})] == [3, 1, 2]
    assert [i for i, _ in fuse({1: 0.0}, {1: 0.2, 2: 0.4})] == [2, 1], "words that every chunk has say nothing"
    assert fuse({}, {}) == []


def test_equal_scores_come_in_the_order_of_ids():
    assert [i for i, _ in fuse({9: 3.0, 4: 3.0, 7: 3.0}, {4: 0.5, 7: 0.5, 9: 0.5})] == [4, 7, 9]


@given(scores, cosines)
def test_any_lists_give_each_candidate_once_with_a_finite_score_up_to_one(lexical, dense):
    found = fuse(lexical, dense)
    assert sorted(i for i, _ in found) == sorted({*lexical, *dense})
    assert all(-1 <= score <= 1 and math.isfinite(score) for _, score in found)
    assert found == sorted(found, key=lambda hit: (-hit[1], hit[0]))


@given(scores, cosines, st.randoms())
def test_the_result_does_not_depend_on_the_order_of_the_candidates(lexical, dense, draw):
    def shuffled(d):
        items = list(d.items())
        draw.shuffle(items)
        return dict(items)

    assert fuse(shuffled(lexical), shuffled(dense)) == fuse(lexical, dense)


@given(scores.filter(bool), cosines.filter(bool))
def test_a_chunk_that_is_better_in_both_is_never_behind(lexical, dense):
    order = {chunk: rank for rank, (chunk, _) in enumerate(fuse(lexical, dense))}
    for a in order:
        for b in order:
            better = lexical.get(a, 0.0) > lexical.get(b, 0.0) + 0.01 and dense.get(a, 0.0) > dense.get(b, 0.0) + 0.01
            assert not better or order[a] < order[b]


def test_two_lists_of_a_hundred_take_far_less_than_a_query():
    draw = random.Random(0)
    lexical = {i: draw.uniform(1, 30) for i in range(200)}
    dense = {i: draw.uniform(0, 0.8) for i in range(200)}
    took = []
    for _ in range(20):
        start = time.perf_counter()
        fuse(lexical, dense)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.001
