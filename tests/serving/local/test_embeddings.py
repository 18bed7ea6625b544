import numpy as np
import pytest

from data.errors import ModelUnavailable
from serving.local.embeddings import Embeddings
from tests.serving.local.small_bert import reference_states, small_weights, write_base


def test_words_places_and_segments_are_added_and_normalised(tmp_path):
    weights = small_weights()
    embeddings = Embeddings(write_base(tmp_path, weights) / "model.safetensors", 1e-12)
    expected = reference_states(weights, [3, 1, 4, 1], [0, 0, 1, 1], n_layers=0)
    np.testing.assert_allclose(embeddings.of((3, 1, 4, 1), (0, 0, 1, 1)), expected, atol=1e-5)
    assert (embeddings.dim, embeddings.max_tokens) == (8, 12)


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 40])
def test_a_file_that_is_none_or_torn_is_named(tmp_path, content):
    path = tmp_path / "model.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelUnavailable, match="unreadable"):
        Embeddings(path, 1e-12)
