"""Builds the ONNX graph of a BERT encoder whose adapters come with each run: token states after any chosen layer.

One backbone for all heads. Rows of one batch may belong to different adapters (y = W x + B A x: LoRA, Hu et al. 2021,
arXiv:2106.09685); the deltas are inputs, so no adapter is part of the file. In int8 each token has scales of its own: what comes of a row
does not depend on its neighbours, and an outlier makes no other token's steps coarser. Knows no heads, no tokens, no sessions. Raise `GRAPH_VERSION` in `backbone.py` with every change.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from onnx import ModelProto, TensorProto, helper

from serving.local.bert_graph import BertShape, EncoderGraph, Outliers, Precision, Weights, add_and_norm

INT8_LEVELS = 90
"""More than AVX2 can add without overflow (63), which costs less than it brings: values near both ends meet rarely, since zero lies
in the middle. Nothing that is stored depends on it. Figures: docs/heads.md."""

MODULES = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
"""The linear parts of a layer: what an adapter may change."""


@dataclass(frozen=True)
class _Steps:
    """How a token's values become uint8: the step that is zero, and how many lie above it. No value falls below `floor`."""

    zero: int
    above: float
    floor: float | None = None


EVEN = _Steps(zero=128, above=127.0)
AFTER_GELU = _Steps(zero=8, above=247.0, floor=-0.17)


@dataclass(frozen=True)
class _Read:
    """What linear layers read: the values, and in int8 their steps with the size of one [rows, length, 1]."""

    values: str
    steps: str = ""
    size: str = ""
    zero: int = 0
    is_quieted: bool = False


def module_names(n_layers: int) -> Iterator[str]:
    """Every linear layer that an adapter may change, as the weights name it."""
    return (f"encoder.layer.{layer}.{module}" for layer in range(n_layers) for module in MODULES)


def build_adapted(
    weights: Weights,
    shape: BertShape,
    precision: Precision = "fp32",
    hidden_outliers: Mapping[int, float] = MappingProxyType({}),
) -> ModelProto:
    """Return the model that computes `states` float32 [rows, length, dim].

    Inputs: `embedded` float32 [rows, length, dim]; `mask` int32 [rows, length], 1 for tokens and 0 for padding; `exit_layer`
    int64 []: states after so many layers are wanted, later ones are not computed; and for each module `<module>.down`
    [adapters, in, rank] and `<module>.up` [adapters, rank, out], where `adapters` is 1 (the same for all rows) or rows (one for each).
    `hidden_outliers` are those of `bert_graph.Outliers`. Raises: KeyError naming the weight that is missing.
    """
    outliers = Outliers(hidden=hidden_outliers if precision == "int8" else {})
    graph = EncoderGraph(weights=weights, shape=shape, precision=precision, outliers=outliers)
    hidden = "embedded"
    for number in range(shape.n_layers):
        goes_on = graph.one("Greater", "exit_layer", graph.constant(f"layer_{number}", np.array(number, np.int64)))
        hidden = graph.only_if(goes_on, hidden, _Layer(graph, f"encoder.layer.{number}").applied)
    graph.called(hidden, "states")
    return graph.model("adapted_bert", list(_inputs(graph)), [_states("states", graph)])


def _inputs(graph: EncoderGraph) -> Iterator[object]:
    yield _states("embedded", graph)
    yield helper.make_tensor_value_info("mask", TensorProto.INT32, ["rows", "length"])
    yield helper.make_tensor_value_info("exit_layer", TensorProto.INT64, [])
    for n, module in enumerate(module_names(graph.shape.n_layers)):
        n_out, n_in = graph.weights[f"{module}.weight"].shape
        shapes = {"down": ["adapters", n_in, f"rank_{n}"], "up": ["adapters", f"rank_{n}", n_out]}
        for part, shape in shapes.items():
            yield helper.make_tensor_value_info(f"{module}.{part}", TensorProto.FLOAT, shape)


def _states(name: str, graph: EncoderGraph) -> object:
    dim = len(graph.weights["embeddings.LayerNorm.weight"])
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", "length", dim])


@dataclass(frozen=True)
class _Layer:
    graph: EncoderGraph
    name: str

    def applied(self, hidden: str) -> str:
        g, attention = self.graph, f"{self.name}.attention"
        parts = [f"{attention}.self.{part}" for part in ("query", "key", "value")]
        read = self._hidden(hidden, attention)
        bias = np.concatenate([g.weights[f"{part}.bias"] for part in parts])
        given = [*(self._product(part, read) for part in parts), g.constant(f"{attention}.bias", bias), "mask"]
        attended = g.fused("MultiHeadAttention", *given, num_heads=g.shape.n_heads)
        update = self._linear(f"{attention}.output.dense", self._steps(attended, EVEN))
        hidden = add_and_norm(g, f"{attention}.output", update, hidden)
        return add_and_norm(g, f"{self.name}.output", self._feed_forward(hidden), hidden)

    def _feed_forward(self, hidden: str) -> str:
        """W2 gelu(W1 hidden + b1) + b2."""
        g, widen, narrow = self.graph, f"{self.name}.intermediate.dense", f"{self.name}.output.dense"
        gelu = "FastGelu" if g.precision == "int8" else "BiasGelu"  # by tanh: off by 0.0005 at most
        bias = g.constant(f"{widen}.bias", g.weights[f"{widen}.bias"])
        wide = g.fused(gelu, self._product(widen, self._hidden(hidden, widen)), bias)
        return self._linear(narrow, self._steps(wide, AFTER_GELU))

    def _linear(self, module: str, read: _Read) -> str:
        bias = self.graph.constant(f"{module}.bias", self.graph.weights[f"{module}.bias"])
        return self.graph.one("Add", self._product(module, read), bias)

    def _product(self, module: str, read: _Read) -> str:
        """W x + B A x, without the bias."""
        g, weight = self.graph, self.graph.weights[f"{module}.weight"]
        delta = g.one("MatMul", g.one("MatMul", read.values, f"{module}.down"), f"{module}.up")
        if g.precision == "fp32":
            return g.one("Add", g.one("MatMul", read.values, g.constant(f"{module}.transposed", weight.T)), delta)
        weight = weight * self._divisors() if read.is_quieted else weight
        scale = np.maximum(np.abs(weight).max(axis=1), 1e-9) / INT8_LEVELS  # one per output channel
        steps = g.constant(f"{module}.steps", np.rint(weight / scale[:, None]).astype(np.int8).T)
        zero = g.constant(f"{module}.zero", np.array(read.zero, np.uint8))
        scales = [g.constant(f"{module}.one", np.ones(1, np.float32)), g.constant(f"{module}.scale", scale)]
        product = g.fused("MatMulIntegerToFloat", read.steps, steps, *scales, zero)
        return g.one("Add", g.one("Mul", product, read.size), delta)

    def _hidden(self, hidden: str, reader: str) -> _Read:
        """The state between the layers, its outliers divided by what their weights are multiplied with."""
        g = self.graph
        if not g.outliers.hidden:
            return self._steps(hidden, EVEN)
        quiet = g.one("Mul", hidden, g.constant(f"{reader}.quiet", 1 / self._divisors()))
        return replace(self._steps(quiet, EVEN), values=hidden, is_quieted=True)

    def _divisors(self) -> np.ndarray:
        divisors = np.ones(len(self.graph.weights["embeddings.LayerNorm.weight"]), np.float32)
        divisors[list(self.graph.outliers.hidden)] = list(self.graph.outliers.hidden.values())
        return divisors

    def _steps(self, values: str, steps: _Steps) -> _Read:
        """In int8 a token's largest value is the last step."""
        g = self.graph
        if g.precision == "fp32":
            return _Read(values)
        largest = g.one("ReduceMax", values, axes=[2], keepdims=1)
        if steps.floor is None:
            largest = g.one("Max", largest, g.one("Neg", g.one("ReduceMin", values, axes=[2], keepdims=1)))
        size = g.one("Div", largest, g.number(steps.above))
        size = g.one("Max", size, g.number(-(steps.floor or -1e-6) / steps.zero))
        of_token = g.one("Reshape", size, g.axes(-1))
        zero = g.one("Expand", g.number(steps.zero, np.uint8), g.one("Shape", of_token))
        quantised = g.one("QuantizeLinear", g.one("Flatten", values, axis=2), of_token, zero, axis=0)
        return _Read(values, g.one("Reshape", quantised, g.one("Shape", values)), size, steps.zero)
