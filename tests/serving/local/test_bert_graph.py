import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto

from serving.local.bert_graph import Outliers, build_bert
from tests.serving.local.small_bert import LENGTH, SHAPE, reference_states, small_weights


def reference(w: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    mean = reference_states(w, ids).mean(0)
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
