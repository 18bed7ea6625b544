import math

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto

from serving.local.bert_graph import BertShape, Outliers, build_bert

DIM, WIDE, WORDS, LENGTH = 8, 16, 20, 12
SHAPE = BertShape(n_layers=2, n_heads=2, layer_norm_eps=1e-12)


def small_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)

    def normal(*size: int) -> np.ndarray:
        return rng.normal(0, 0.5, size).astype(np.float32)

    def norm(name: str) -> dict[str, np.ndarray]:
        return {f"{name}.LayerNorm.weight": 1 + normal(DIM), f"{name}.LayerNorm.bias": normal(DIM)}

    def dense(name: str, n_out: int, n_in: int) -> dict[str, np.ndarray]:
        return {f"{name}.weight": normal(n_out, n_in), f"{name}.bias": normal(n_out)}

    weights = {
        "embeddings.word_embeddings.weight": normal(WORDS, DIM),
        "embeddings.position_embeddings.weight": normal(LENGTH, DIM),
        "embeddings.token_type_embeddings.weight": normal(2, DIM),
        **norm("embeddings"),
    }
    for layer in range(SHAPE.n_layers):
        name = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            weights |= dense(f"{name}.attention.self.{part}", DIM, DIM)
        weights |= dense(f"{name}.attention.output.dense", DIM, DIM) | norm(f"{name}.attention.output")
        weights |= dense(f"{name}.intermediate.dense", WIDE, DIM)
        weights |= dense(f"{name}.output.dense", DIM, WIDE) | norm(f"{name}.output")
    return weights


def reference(w: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """BERT by the book, in float64."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + SHAPE.layer_norm_eps)
        return x * w[f"{name}.LayerNorm.weight"] + w[f"{name}.LayerNorm.bias"]

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T.astype(np.float64) + w[f"{name}.bias"]

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(ids), SHAPE.n_heads, -1).swapaxes(0, 1)

    x = w["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)] + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings")
    for layer in range(SHAPE.n_layers):
        name = f"encoder.layer.{layer}"
        q, k, v = (heads(dense(x, f"{name}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = np.exp(q @ k.swapaxes(1, 2) / math.sqrt(DIM / SHAPE.n_heads))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(ids), DIM)
        x = norm(x + dense(mixed, f"{name}.attention.output.dense"), f"{name}.attention.output")
        wide = dense(x, f"{name}.intermediate.dense")
        wide = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
        x = norm(x + dense(wide, f"{name}.output.dense"), f"{name}.output")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


def run(precision: str, ids: list[int]) -> np.ndarray:
    return run_model(build_bert(small_weights(), SHAPE, precision), ids)


def run_model(model: ModelProto, ids: list[int]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"ids": np.array([ids], np.int32)})[0][0]


@pytest.mark.parametrize("ids", [[5], [1, 2, 3, 4, 5, 6, 7], [19] * LENGTH])
def test_the_graph_computes_bert_as_written_in_the_paper(ids: list[int]) -> None:
    np.testing.assert_allclose(run("fp32", ids), reference(small_weights(), ids), atol=2e-6)


def test_int8_stays_close_to_fp32() -> None:
    ids = [1, 2, 3, 4, 5, 6, 7]
    assert run("int8", ids) @ reference(small_weights(), ids) > 0.98


def test_a_missing_weight_is_named() -> None:
    weights = small_weights()
    del weights["encoder.layer.1.output.dense.bias"]
    with pytest.raises(KeyError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        build_bert(weights, SHAPE)


def with_outliers() -> dict[str, np.ndarray]:
    """Channel 3 of each layer's feed-forward part is fifty times as large as the others, and weighs as much as they do."""
    weights = small_weights()
    for layer in range(SHAPE.n_layers):
        weights[f"encoder.layer.{layer}.intermediate.dense.weight"][3] *= 50
        weights[f"encoder.layer.{layer}.output.dense.weight"][:, 3] /= 50
    return weights


APART = Outliers(feed_forward={0: (3,), 1: (3,)}, hidden={5: 4.0})


def test_int8_loses_less_when_feed_forward_outliers_are_computed_in_fp32() -> None:
    weights = with_outliers()
    texts = [[1 + n, 2, 3 + n, 4, 5, 6 + n] for n in range(12)]

    def loss(outliers: Outliers) -> float:
        model = build_bert(weights, SHAPE, "int8", outliers)
        return float(np.mean([1 - run_model(model, ids) @ reference(weights, ids) for ids in texts]))

    assert loss(Outliers(feed_forward=APART.feed_forward)) < 0.9 * loss(Outliers())


def test_setting_outliers_apart_changes_no_more_than_rounding() -> None:
    ids, weights = [1, 2, 3], with_outliers()
    assert run_model(build_bert(weights, SHAPE, "int8", APART), ids) @ reference(weights, ids) > 0.99
    np.testing.assert_array_equal(
        run_model(build_bert(weights, SHAPE, "fp32", APART), ids), run_model(build_bert(weights, SHAPE), ids)
    )
