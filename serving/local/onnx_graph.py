"""An ONNX graph while it is being written: nodes, constants, parts that are skipped. Knows no model and no weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

FUSED = "com.microsoft"
"""The domain of the operators that onnxruntime adds to ONNX's own."""


@dataclass(kw_only=True)
class GraphInProgress:
    """`add` appends a node and returns the names of its outputs; names are made here and never clash."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    n_added: int = 0

    def add(self, op: str, *inputs: str, n_outputs: int = 1, domain: str = "", **attributes: object) -> list[str]:
        outputs = [f"{op}_{self.n_added}_{i}" for i in range(n_outputs)]
        self.n_added += 1
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
        return outputs

    def one(self, op: str, *inputs: str, **attributes: object) -> str:
        """`add` where there is one output."""
        return self.add(op, *inputs, **attributes)[0]

    def fused(self, op: str, *inputs: str, n_outputs: int = 1, **attributes: object) -> str:
        return self.add(op, *inputs, n_outputs=n_outputs, domain=FUSED, **attributes)[0]

    def constant(self, name: str, value: NDArray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def number(self, value: float, kind: type = np.float32) -> str:
        """One number, of which there is one constant however often it is used."""
        return self._once(f"{np.dtype(kind)}({value})", np.array(value, kind))

    def axes(self, *axes: int) -> str:
        return self._once(f"axes{axes}", np.array(axes, np.int64))

    def only_if(self, condition: str, given: str, change: Callable[[str], str]) -> str:
        """`change(given)` where the condition holds when the graph runs, else `given`."""
        branches = {}
        outer, name = self.nodes, f"If_{self.n_added}"
        self.n_added += 1
        for branch, body in (("then_branch", change), ("else_branch", lambda same: self.one("Identity", same))):
            self.nodes = []
            out = helper.make_tensor_value_info(body(given), TensorProto.FLOAT, None)
            branches[branch] = helper.make_graph(self.nodes, f"{name}_{branch}", [], [out])
        self.nodes = outer
        self.nodes.append(helper.make_node("If", [condition], [name], **branches))
        return name

    def called(self, value: str, name: str) -> None:
        """Call a value what the outside calls it."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def model(self, title: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]) -> ModelProto:
        made = helper.make_graph(self.nodes, title, inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
        return helper.make_model(made, opset_imports=opsets, ir_version=9)

    def _once(self, name: str, value: NDArray) -> str:
        return name if any(known.name == name for known in self.constants) else self.constant(name, value)
