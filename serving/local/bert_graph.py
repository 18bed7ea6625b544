"""Builds the ONNX graph of a BERT sentence encoder from its weights: the token ids of one text in, a unit vector out.

Reads like the model: embeddings, layers of attention and feed-forward, mean pooling, length 1. Knows nothing of
tokenisation or sessions. Devlin et al. 2019 (arXiv:1810.04805); fused operators are those of onnxruntime's CPU
provider. One text per run: nothing is padded, and a text's vector does not depend on its neighbours.
Raise `GRAPH_VERSION` in `encoder.py` with every change here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from serving.local.onnx_graph import GraphInProgress

INT8_LEVELS = 63
"""Weights keep 7 bits: AVX2 adds two products of uint8 and int8 in 16 bits, and 2 * 255 * 63 fits."""

Weights = Mapping[str, NDArray]
Precision = Literal["fp32", "int8"]


@dataclass(frozen=True)
class BertShape:
    """What `config.json` of the model says."""

    n_layers: int
    n_heads: int
    layer_norm_eps: float


@dataclass(frozen=True)
class Outliers:
    """Channels of one model that are several times larger than the others: int8's common scale would be as coarse."""

    feed_forward: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """By layer: channels inside its feed-forward part, computed apart in fp32."""
    hidden: Mapping[int, float] = field(default_factory=dict)
    """Channels between the layers, with what they are divided by before each linear layer (whose weights make up for it)."""


@dataclass(kw_only=True)
class EncoderGraph(GraphInProgress):
    """A graph that computes with these weights."""

    weights: Weights
    shape: BertShape
    precision: Precision
    outliers: Outliers

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])


def build_bert(
    weights: Weights, shape: BertShape, precision: Precision = "fp32", outliers: Outliers = Outliers()
) -> ModelProto:
    """Return the model: `ids` int32 [1, length] -> `vectors` float32 [1, dim].

    `int8` computes the linear layers with 7-bit weights (a scale per output channel) and 8-bit activations (a scale
    per text), with its `outliers` apart; everything else stays fp32. Raises: KeyError naming the weight that is missing.
    """
    graph = EncoderGraph(
        weights=weights, shape=shape, precision=precision, outliers=outliers if precision == "int8" else Outliers()
    )
    hidden = _embeddings(graph)
    for layer in range(shape.n_layers):
        hidden = _layer(graph, layer, hidden)
    [mean] = graph.add("ReduceMean", hidden, axes=[1], keepdims=0)
    graph.nodes.append(helper.make_node("LpNormalization", [mean], ["vectors"], axis=-1, p=2))
    return _model(graph)


def _embeddings(graph: EncoderGraph) -> str:
    position = graph.weights["embeddings.position_embeddings.weight"]
    segment = graph.weights["embeddings.token_type_embeddings.weight"][0]  # one text: always segment 0
    words = graph.weight("embeddings.word_embeddings.weight")
    positions = graph.constant("embeddings.positions", position + segment)
    norm = [graph.weight("embeddings.LayerNorm.weight"), graph.weight("embeddings.LayerNorm.bias")]
    inputs = ["ids", "", words, positions, "", *norm]
    return graph.fused("EmbedLayerNormalization", *inputs, n_outputs=2, epsilon=graph.shape.layer_norm_eps)


def _layer(graph: EncoderGraph, number: int, hidden: str) -> str:
    name = f"encoder.layer.{number}"
    attended = _attention(graph, f"{name}.attention.self", hidden)
    update = _linear(graph, f"{name}.attention.output.dense", attended)
    hidden = add_and_norm(graph, f"{name}.attention.output", update, hidden)
    update = _feed_forward(graph, name, hidden, list(graph.outliers.feed_forward.get(number, ())))
    return add_and_norm(graph, f"{name}.output", update, hidden)


def _feed_forward(graph: EncoderGraph, name: str, hidden: str, outliers: list[int]) -> str:
    """W2 gelu(W1 hidden + b1) + b2, where the `outliers` among its channels take a way of their own, in fp32."""
    widen, bias, narrow = (
        graph.weights[f"{name}.{part}"].copy()
        for part in ("intermediate.dense.weight", "intermediate.dense.bias", "output.dense.weight")
    )
    aside = _in_fp32(graph, name, hidden, widen[outliers], bias[outliers], narrow[:, outliers]) if outliers else ""
    widen[outliers] = bias[outliers] = narrow[:, outliers] = 0  # gelu(0) = 0
    inner = f"{name}.intermediate.dense"
    gelu = "FastGelu" if graph.precision == "int8" else "Gelu"  # by tanh: off by 0.0005 at most, below int8's steps
    wide = graph.fused(gelu, _affine(graph, inner, *_quieted(graph, inner, hidden, widen), bias))
    update = _affine(graph, f"{name}.output.dense", wide, narrow, graph.weights[f"{name}.output.dense.bias"])
    return graph.add("Add", update, aside)[0] if aside else update


def _in_fp32(graph: EncoderGraph, name: str, hidden: str, widen: NDArray, bias: NDArray, narrow: NDArray) -> str:
    wide = graph.add("MatMul", hidden, graph.constant(f"{name}.outliers.widen", widen.T))[0]
    wide = graph.fused("BiasGelu", wide, graph.constant(f"{name}.outliers.bias", bias))
    return graph.add("MatMul", wide, graph.constant(f"{name}.outliers.narrow", narrow.T))[0]


def _attention(graph: EncoderGraph, name: str, hidden: str) -> str:
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    weight = np.concatenate([graph.weights[f"{part}.weight"] for part in parts])
    bias = np.concatenate([graph.weights[f"{part}.bias"] for part in parts])
    parts = graph.add("Split", _affine(graph, name, *_quieted(graph, name, hidden, weight), bias), n_outputs=3, axis=-1)
    return graph.fused("MultiHeadAttention", *parts, num_heads=graph.shape.n_heads)


def _quieted(graph: EncoderGraph, name: str, hidden: str, weight: NDArray) -> tuple[str, NDArray]:
    """Divide the outliers among the inputs of a linear layer and multiply their weights: the product stays the same."""
    if not graph.outliers.hidden:
        return hidden, weight
    divisors = np.ones(weight.shape[1], np.float32)
    divisors[list(graph.outliers.hidden)] = list(graph.outliers.hidden.values())
    return graph.add("Mul", hidden, graph.constant(f"{name}.quieted", 1 / divisors))[0], weight * divisors


def _linear(graph: EncoderGraph, name: str, hidden: str) -> str:
    return _affine(graph, name, hidden, graph.weights[f"{name}.weight"], graph.weights[f"{name}.bias"])


def _affine(graph: EncoderGraph, name: str, hidden: str, weight: NDArray, bias: NDArray) -> str:
    """`hidden @ weight.T + bias`."""
    added = graph.constant(f"{name}.bias", bias)
    if graph.precision == "fp32":
        product = graph.add("MatMul", hidden, graph.constant(f"{name}.transposed", weight.T))[0]
        return graph.add("Add", product, added)[0]
    scale = np.maximum(np.abs(weight).max(axis=1), 1e-9) / INT8_LEVELS  # one per output channel
    steps = np.rint(weight / scale[:, None]).astype(np.int8)
    inputs = [graph.constant(f"{name}.steps", steps.T), graph.constant(f"{name}.scale", scale)]
    return graph.fused("DynamicQuantizeMatMul", hidden, *inputs, "", added)  # "": symmetric, no zero point


def add_and_norm(graph: EncoderGraph, name: str, update: str, hidden: str) -> str:
    """LayerNorm(update + hidden) in simple operators: the fused one is not vectorised and takes 10 % longer in all."""
    total = graph.add("Add", update, hidden)[0]
    mean = graph.add("ReduceMean", total, axes=[-1], keepdims=1)[0]
    centred = graph.add("Sub", total, mean)[0]
    squares = graph.add("Mul", centred, centred)[0]
    variance = graph.add("ReduceMean", squares, axes=[-1], keepdims=1)[0]
    epsilon = graph.constant(f"{name}.epsilon", np.array([graph.shape.layer_norm_eps], np.float32))
    deviation = graph.add("Sqrt", graph.add("Add", variance, epsilon)[0])[0]
    normal = graph.add("Div", centred, deviation)[0]
    scaled = graph.add("Mul", normal, graph.weight(f"{name}.LayerNorm.weight"))[0]
    return graph.add("Add", scaled, graph.weight(f"{name}.LayerNorm.bias"))[0]


def _model(graph: EncoderGraph) -> ModelProto:
    dim = graph.weights["embeddings.word_embeddings.weight"].shape[1]
    inputs = [helper.make_tensor_value_info("ids", TensorProto.INT32, [1, "length"])]
    return graph.model("bert", inputs, [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, dim])])
