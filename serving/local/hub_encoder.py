"""Any sentence-transformers model, by Hugging Face id or local path, behind the interface of the built-in encoder.

Needs torch and sentence-transformers (the `finetune` extra).
"""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.errors import InvalidInput, MissingExtra, ModelUnavailable

try:
    from sentence_transformers import SentenceTransformer
except ImportError as error:
    raise MissingExtra("sentence-transformers", extra="finetune") from error

KINDS = ("document", "query")

Vectors = NDArray[np.float32]


class SentenceTransformerEncoder:
    """Text in, unit vectors out. The model loads when it is made, because `dim` and `max_tokens` are its own.

    Raises: ModelUnavailable when there is no such model, or none that can be loaded offline.
    """

    def __init__(self, model: str, *, device: str = "cpu", batch_size: int = 32) -> None:
        try:
            self._model = SentenceTransformer(model, device=device)
        except (OSError, ValueError) as error:
            raise ModelUnavailable(
                f"sentence-transformers cannot load '{model}': {error}",
                next_step="Give a local folder, or the id of a model in the local Hugging Face cache.",
            ) from error
        self.id = _identity(model)
        self.dim = int(self._model.get_embedding_dimension())
        self.max_tokens = int(self._model.max_seq_length or 512)
        self._batch_size = batch_size
        self._encoding = threading.Lock()  # torch already uses every core

    def load(self) -> None:
        """Nothing is left to load."""

    def embed(self, texts: Sequence[str], *, kind: str = "document") -> Vectors:
        """Return float32 [len(texts), dim], each row of length 1, with the model's own query or document prompt.

        Raises: InvalidInput for a `kind` other than document or query.
        """
        if kind not in KINDS:
            raise InvalidInput(f"kind is '{kind}'; it must be one of {', '.join(KINDS)}.", field="kind")
        if not texts:
            return np.empty((0, self.dim), np.float32)
        encode = self._model.encode_query if kind == "query" else self._model.encode_document
        with self._encoding:
            vectors = encode(
                list(texts), batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(vectors, np.float32)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the (start, end) character offsets of each token of `text`, untruncated, special tokens left out.

        Raises: InvalidInput when the model's tokenizer cannot tell offsets.
        """
        tokenizer = self._model.tokenizer
        if not getattr(tokenizer, "is_fast", False):
            raise InvalidInput(
                f"The tokenizer of '{self.id}' gives no character offsets.",
                field="model",
                next_step="Choose a model with a fast tokenizer (a tokenizer.json in its folder).",
            )
        encoded = tokenizer(
            text, add_special_tokens=False, truncation=False, return_offsets_mapping=True, verbose=False
        )
        return [(int(start), int(end)) for start, end in encoded["offset_mapping"]]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, untruncated, special tokens left out."""
        return [len(self.token_spans(text)) for text in texts]


def _identity(model: str) -> str:
    """Name a local model by the digest of its weights and configuration, a hub model by its id."""
    path = Path(model)
    if not path.is_dir():
        return model
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.suffix in (".safetensors", ".bin", ".json", ".txt", ".model"):
            digest.update(str(file.relative_to(path)).encode() + b"\0")
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return f"{path.resolve().name}@{digest.hexdigest()[:12]}"
