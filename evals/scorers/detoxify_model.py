"""Toxicity by Detoxify from a checkpoint on disk. Imports torch and detoxify; never downloads.

A checkpoint is a pickle. It is read once with torch's loader for plain data first: one that wants to run code is refused.
"""

import hashlib
import pickle
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from detoxify import Detoxify

from data.errors import InvalidInput

BATCH = 16
CLASS = "toxicity"


class DetoxifyModel:
    """Call with texts for their probabilities of being toxic. The model loads when it is first called."""

    def __init__(self, checkpoint: Path, files: Path | None = None) -> None:
        self._checkpoint = Path(checkpoint)
        self._files = files

    @cached_property
    def id(self) -> str:
        with self._checkpoint.open("rb") as file:
            return f"detoxify-{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"

    def __call__(self, texts: Sequence[str]) -> list[float]:
        out: list[float] = []
        for at in range(0, len(texts), BATCH):
            found = self._model.predict(list(texts[at : at + BATCH]))[CLASS]
            out += found if isinstance(found, list) else [found]  # one text gives a bare number
        return out

    @cached_property
    def _model(self) -> Detoxify:
        try:
            torch.load(self._checkpoint, map_location="cpu", weights_only=True)
            loaded = Detoxify(
                checkpoint=str(self._checkpoint),
                huggingface_config_path=str(self._files) if self._files else None,
                device="cpu",
            )
        except pickle.UnpicklingError as error:
            raise self._refused("it holds more than plain data, which could run code here") from error
        except (OSError, KeyError, ValueError, RuntimeError, AttributeError) as error:
            raise self._refused(str(error)) from error
        if CLASS not in loaded.class_names:
            raise self._refused(f"it has no class {CLASS}, only {', '.join(loaded.class_names)}")
        return loaded

    def _refused(self, why: str) -> InvalidInput:
        return InvalidInput(
            f"The Detoxify checkpoint {self._checkpoint.name!r} cannot be used: {why}",
            field="detoxify",
            next_step="Set ASSAY_EVALS__DETOXIFY to a checkpoint and __DETOXIFY_FILES to its config and tokenizer: docs/scorers.md.",
        )
