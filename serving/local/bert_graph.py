"""Builds the ONNX graph of a BERT sentence encoder from its weights: token ids in, unit vectors out.

Reads like the model: embeddings, layers of attention and feed-forward, mean pooling, length 1. Knows nothing of
tokenisation or of sessions. Devlin et al. 2019 (arXiv:1810.04805); fused operators are those of onnxruntime's CPU provider.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

GRAPH_VERSION = 1
"""Raise it with every change here: cached graphs are named by it."""

Weights = Mapping[str, NDArray]


@dataclass(frozen=True)
class BertShape:
    """What `config.json` of the model says."""

    n_layers: int
    n_heads: int
    layer_norm_eps: float


@dataclass
class _Graph:
    weights: Weights
    shape: BertShape
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def add(self, op: str, inputs: list[str], *, domain: str = "", **attributes: object) -> str:
        out = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], domain=domain, **attributes))
        return out

    def fused(self, op: str, inputs: list[str], **attributes: object) -> str:
        return self.add(op, inputs, domain="com.microsoft", **attributes)

    def constant(self, name: str, value: NDArray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])


def build_bert(weights: Weights, shape: BertShape) -> ModelProto:
    """Return the model: `ids` int32 [n, length], `lengths` int32 [n] (tokens that are not padding) -> `vectors` float32 [n, dim].

    Raises: KeyError naming the weight that is missing.
    """
    graph = _Graph(weights, shape)
    hidden = _embeddings(graph)
    for layer in range(shape.n_layers):
        hidden = _layer(graph, f"encoder.layer.{layer}", hidden)
    _pooled(graph, hidden)
    return _model(graph)


def _embeddings(graph: _Graph) -> str:
    prefix = "embeddings"
    position = graph.weights[f"{prefix}.position_embeddings.weight"]
    segment = graph.weights[f"{prefix}.token_type_embeddings.weight"][0]  # one text per row: always segment 0
    out = graph.fused(
        "EmbedLayerNormalization",
        [
            "ids",
            "",
            graph.weight(f"{prefix}.word_embeddings.weight"),
            graph.constant("positions", position + segment),
            "",
            graph.weight(f"{prefix}.LayerNorm.weight"),
            graph.weight(f"{prefix}.LayerNorm.bias"),
        ],
        epsilon=graph.shape.layer_norm_eps,
    )
    graph.nodes[-1].output.append("")  # the mask index: `lengths` already is one
    return out


def _layer(graph: _Graph, name: str, hidden: str) -> str:
    attended = _attention(graph, f"{name}.attention", hidden)
    projected = _matmul(graph, f"{name}.attention.output.dense", attended)
    hidden = _add_and_norm(graph, f"{name}.attention.output", projected, hidden)
    wide = _matmul(graph, f"{name}.intermediate.dense", hidden)
    wide = graph.fused("BiasGelu", [wide, graph.weight(f"{name}.intermediate.dense.bias")])
    return _add_and_norm(graph, f"{name}.output", _matmul(graph, f"{name}.output.dense", wide), hidden)


def _attention(graph: _Graph, name: str, hidden: str) -> str:
    parts = [f"{name}.self.{part}" for part in ("query", "key", "value")]
    weight = np.concatenate([graph.weights[f"{part}.weight"].T for part in parts], axis=1)
    bias = np.concatenate([graph.weights[f"{part}.bias"] for part in parts])
    inputs = [
        hidden,
        graph.constant(f"{name}.qkv.weight", weight),
        graph.constant(f"{name}.qkv.bias", bias),
        "lengths",
    ]
    return graph.fused("Attention", inputs, num_heads=graph.shape.n_heads)


def _matmul(graph: _Graph, name: str, hidden: str) -> str:
    return graph.add("MatMul", [hidden, graph.constant(f"{name}.weight", graph.weights[f"{name}.weight"].T)])


def _add_and_norm(graph: _Graph, name: str, update: str, hidden: str) -> str:
    norm = [graph.weight(f"{name}.LayerNorm.weight"), graph.weight(f"{name}.LayerNorm.bias")]
    inputs = [update, hidden, *norm, graph.weight(f"{name}.dense.bias")]
    return graph.fused("SkipLayerNormalization", inputs, epsilon=graph.shape.layer_norm_eps)


def _pooled(graph: _Graph, hidden: str) -> None:
    """Mean over the tokens that are not padding, then length 1."""
    length = graph.add("Gather", [graph.add("Shape", ["ids"]), graph.constant("one", np.int64(1))])
    indices = graph.add("Range", [graph.constant("zero_", np.int64(0)), length, "one"])
    counts = graph.add("Unsqueeze", ["lengths", graph.constant("last", np.array([1]))])
    is_token = graph.add("Less", [graph.add("Cast", [indices], to=TensorProto.INT32), counts])
    mask = graph.add(
        "Unsqueeze", [graph.add("Cast", [is_token], to=TensorProto.FLOAT), "last"]
    )  # [n, 1, length]
    total = graph.add("MatMul", [mask, hidden])  # [n, 1, dim]
    total = graph.add("Squeeze", [total, "last"])
    mean = graph.add("Div", [total, graph.add("Cast", [counts], to=TensorProto.FLOAT)])
    graph.nodes.append(helper.make_node("LpNormalization", [mean], ["vectors"], axis=-1, p=2))


def _model(graph: _Graph) -> ModelProto:
    dim = graph.weights["embeddings.word_embeddings.weight"].shape[1]
    made = helper.make_graph(
        graph.nodes,
        "bert",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT32, ["n", "length"]),
            helper.make_tensor_value_info("lengths", TensorProto.INT32, ["n"]),
        ],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", dim])],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)
