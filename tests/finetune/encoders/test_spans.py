import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.encoders.spans import OUTSIDE, POSSIBLE, RIGHT, best_span, target_labels, token_span, windows
from tests.finetune.encoders.conftest import CITIES

pytestmark = pytest.mark.slow  # imports transformers and makes a tokenizer
CONTEXT = " ".join(f"{city} is old ." for city in CITIES)


def cut(tokenizer, max_length, stride=4):
    return windows(tokenizer, "where is it ?", CONTEXT, max_length=max_length, stride=stride)


def marked(window, labels):
    """The characters between the right start and the right end."""
    start, end = (int(np.flatnonzero(labels[:, side] == RIGHT)[0]) - window.first for side in (0, 1))
    return CONTEXT[window.offsets[start][0] : window.offsets[end][1]]


@pytest.mark.parametrize("city", CITIES)
@pytest.mark.parametrize("max_length", [16, 24, 64])
def test_the_target_is_exactly_the_answer_in_every_window_that_holds_it(tokenizer, city, max_length):
    start = CONTEXT.index(city)
    holding = 0
    for window in cut(tokenizer, max_length):
        labels = target_labels(window, [(start, start + len(city))], is_weak=False)
        if labels[0, 0] == RIGHT:
            assert labels[0, 1] == RIGHT
            assert (labels == RIGHT).sum() == 2
        else:
            holding += 1
            assert marked(window, labels) == city
    assert holding >= 1


def test_windows_cover_the_context_without_a_gap_and_fit(tokenizer):
    cut_up = cut(tokenizer, 16)
    assert len(cut_up) > 2
    assert all(len(window.input_ids) <= 16 for window in cut_up)
    covered = sorted({pair for window in cut_up for pair in window.offsets})
    assert "".join(CONTEXT[s:e] for s, e in covered) == CONTEXT.replace(" ", "")


def test_an_answer_that_the_window_cuts_is_no_answer_there(tokenizer):
    window = cut(tokenizer, 16)[0]
    last = window.offsets[-1][1]
    assert token_span(window, (last - 2, last + 4)) is None
    assert token_span(window, (last, last + 4)) is None


def test_question_and_separators_can_be_neither_start_nor_end(tokenizer):
    (window,) = cut(tokenizer, 100)
    labels = target_labels(window, [], is_weak=False)
    assert (labels[1 : window.first] == OUTSIDE).all()
    assert (labels[-1] == OUTSIDE).all()
    assert (labels[0] == RIGHT).all()
    assert (labels[window.first : -1] == POSSIBLE).all()


def test_a_weak_span_lets_every_token_in_it_be_start_or_end(tokenizer):
    (window,) = cut(tokenizer, 100)
    labels = target_labels(window, [(0, len("oslo is old ."))], is_weak=True)
    assert (labels[window.first : window.first + 4] == RIGHT).all()
    assert (labels == RIGHT).sum() == 8


@given(st.integers(0, 30), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_the_best_span_equals_a_search_over_all_of_them(at, longest, seed):
    rng = np.random.default_rng(seed)
    n = 1 + at
    from finetune.encoders.spans import Window

    window = Window(tuple(range(n + 4)), (0,) * (n + 4), 3, tuple((2 * i, 2 * i + 1) for i in range(n)))
    logits = rng.normal(size=(n + 4, 2)).astype(np.float32)
    found = best_span(window, logits, longest + 1)
    best = max(
        (float(logits[3 + i, 0] + logits[3 + j, 1]), i, j) for i in range(n) for j in range(i, min(n, i + longest + 1))
    )
    assert found.score == pytest.approx(best[0] - float(logits[0].sum()), abs=1e-5)
    assert (found.start, found.end) == (2 * best[1], 2 * best[2] + 1)
