"""BERT's embeddings, straight from the weights' file: what a graph of states begins with. Knows no graph and no tokenizer.

The file is mapped, not read: of its vocabulary only the words that were seen take memory, and processes share them.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import ModelUnavailable

FLOAT32 = "F32"


class Embeddings:
    """Word, position and segment, added and normalised (Devlin et al. 2019, arXiv:1810.04805, section 3)."""

    def __init__(self, weights: Path, layer_norm_eps: float) -> None:
        """`weights` is a safetensors file. Raises: ModelUnavailable."""
        mapped = mapped_tensors(weights, "embeddings.")
        self._words = mapped["word_embeddings.weight"]
        places = np.array(mapped["position_embeddings.weight"])
        segments = np.array(mapped["token_type_embeddings.weight"])
        self._places = places[None] + segments[:, None]  # [segments, length, dim]
        self._scale, self._shift = np.array(mapped["LayerNorm.weight"]), np.array(mapped["LayerNorm.bias"])
        self._epsilon = np.float32(layer_norm_eps)
        self.max_tokens, self.dim = places.shape

    def of(self, ids: Sequence[int], types: Sequence[int]) -> NDArray[np.float32]:
        """[length, dim] for one row of tokens."""
        total = self._words[np.asarray(ids)] + self._places[np.asarray(types), np.arange(len(ids))]
        centred = total - total.mean(-1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(-1, keepdims=True) + self._epsilon)
        return centred / deviation * self._scale + self._shift


def mapped_tensors(path: Path, prefix: str) -> dict[str, NDArray[np.float32]]:
    """The tensors below `prefix`, read-only views of the file.

    Layout: 8 bytes length of the header, the header in JSON, the tensors. Raises: ModelUnavailable.
    """
    try:
        with path.open("rb") as file:
            n_header = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(n_header))
        content = np.memmap(path, np.uint8, "r", offset=8 + n_header)
        return {
            name.removeprefix(prefix): _view(content, about)
            for name, about in header.items()
            if name.startswith(prefix) and about["dtype"] == FLOAT32
        }
    except (OSError, ValueError, OverflowError) as error:
        raise ModelUnavailable(f"The weights at {path} are unreadable: {error}.") from error


def _view(content: NDArray[np.uint8], about: dict[str, Any]) -> NDArray[np.float32]:
    start, end = about["data_offsets"]
    return content[start:end].view(np.float32).reshape(about["shape"])
