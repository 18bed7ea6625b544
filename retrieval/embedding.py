"""The `Embedder` port: text in, unit vectors out. Knows nothing of models; `serving/local` implements it."""

import hashlib
import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Vectors of embedders with different `id`s never mix: the id names weights, pooling and numeric variant."""

    id: str
    dim: int
    max_tokens: int

    def embed(self, texts: Sequence[str], *, kind: str = "document") -> Vectors:
        """Return float32 [len(texts), dim], each row of length 1. `kind` is `query` or `document`."""
        ...

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) character offsets of each token of `text`, untruncated, special tokens left out."""
        ...


class HashingEmbedder:
    """Deterministic stand-in for tests: hashed bags of words, so equal words mean close vectors."""

    def __init__(self, dim: int = 64) -> None:
        self.id = f"hashing-{dim}"
        self.dim = dim
        self.max_tokens = 256

    def embed(self, texts: Sequence[str], *, kind: str = "document") -> Vectors:
        out = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()) or [""]:
                digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
                out[row, int.from_bytes(digest[:4]) % self.dim] += 1 if digest[4] & 1 else -1
            norm = np.linalg.norm(out[row])
            out[row] = out[row] / norm if norm else np.eye(1, self.dim)[0]
        return out

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return [m.span() for m in re.finditer(r"\w+|[^\w\s]", text)]
