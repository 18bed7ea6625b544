import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.embedding import HashingEmbedder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_text_becomes_a_unit_vector(texts: list[str]) -> None:
    vectors = HashingEmbedder(32).embed(texts)
    assert vectors.shape == (len(texts), 32)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_texts_that_share_words_are_closer_than_texts_that_do_not(embedder: HashingEmbedder) -> None:
    question, near, far = embedder.embed(
        ["how long is the leave", "the leave is thirty days long", "prices of thermometers"]
    )
    assert question @ near > question @ far + 0.3


def test_word_order_and_case_make_no_difference(embedder: HashingEmbedder) -> None:
    a, b = embedder.embed(["Annual Leave", "leave annual"])
    np.testing.assert_array_equal(a, b)


def test_vectors_are_the_same_in_every_process(embedder: HashingEmbedder) -> None:
    """Python's own hash() of a text changes from process to process."""
    program = "from retrieval.embedding import HashingEmbedder as E; print(E().embed(['annual leave']).tobytes().hex())"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == embedder.embed(["annual leave"]).tobytes().hex()


def test_embedders_of_different_sizes_have_different_ids() -> None:
    assert HashingEmbedder(64).id != HashingEmbedder(128).id


def test_token_spans_are_words_and_signs(embedder: HashingEmbedder) -> None:
    text = "Fourteen days' notice, in writing."
    spans = embedder.token_spans(text)
    assert [text[start:end] for start, end in spans] == ["Fourteen", "days", "'", "notice", ",", "in", "writing", "."]
