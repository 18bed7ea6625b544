"""How likely a local language model finds two sentences of a pair. Imports torch: only commands import this, when they need it.

A masked model gives pseudo-log-likelihoods of the words that both sentences share, each masked in turn, given all others
(Nangia et al. 2020, equation 1; Salazar et al. 2020). A decoder has no masks: it gives each sentence's whole log-likelihood.
"""

from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from data.errors import InvalidInput

BATCH = 32
"""Masked copies of a sentence that are run at a time."""


class LocalLikelihood:
    """`load` a folder (or a name that is in the local cache); then call with two sentences."""

    def __init__(self, model: torch.nn.Module, tokenizer, is_masked: bool) -> None:
        self._model, self._tokenizer, self.is_masked = model.eval(), tokenizer, is_masked

    @classmethod
    def load(cls, path: str) -> "LocalLikelihood":
        """Raises: InvalidInput when there is no language model at `path`."""
        try:
            kinds = AutoConfig.from_pretrained(path).architectures or []
            is_masked = any("MaskedLM" in kind for kind in kinds)
            if not is_masked and not any("CausalLM" in kind or "LMHead" in kind for kind in kinds):
                raise ValueError(f"it is {', '.join(kinds) or 'of no named kind'}, which predicts no words")
            loaded = (AutoModelForMaskedLM if is_masked else AutoModelForCausalLM).from_pretrained(path)
            return cls(loaded, AutoTokenizer.from_pretrained(path), is_masked)
        except (OSError, ValueError) as error:
            raise InvalidInput(
                f"No language model could be loaded from {Path(path).name!r}: {error}",
                field="model",
                next_step="Name a folder with config.json, weights and tokenizer of a ...ForMaskedLM or ...ForCausalLM model.",
            ) from error

    @torch.inference_mode()
    def __call__(self, more: str, less: str) -> tuple[float, float]:
        if not self.is_masked:
            return self._sentence(more), self._sentence(less)
        first, second = self._ids(more), self._ids(less)
        blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
        shared = [(b.a + i, b.b + i) for b in blocks for i in range(b.size)]
        shared = [(a, b) for a, b in shared if first[a] not in self._tokenizer.all_special_ids]
        return self._masked(first, [a for a, _ in shared]), self._masked(second, [b for _, b in shared])

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer(text, truncation=True)["input_ids"]

    def _masked(self, ids: Sequence[int], positions: Sequence[int]) -> float:
        """Sum of log P(token | all others) over `positions`."""
        total = 0.0
        for at in range(0, len(positions), BATCH):
            chosen = torch.tensor(positions[at : at + BATCH])
            rows = torch.tensor([ids] * len(chosen))
            wanted = rows[range(len(chosen)), chosen]
            rows[range(len(chosen)), chosen] = self._tokenizer.mask_token_id
            logits = self._model(input_ids=rows, attention_mask=torch.ones_like(rows)).logits
            predicted = logits[range(len(chosen)), chosen].log_softmax(-1)
            total += float(predicted[range(len(chosen)), wanted].sum())
        return total

    def _sentence(self, text: str) -> float:
        """Sum of log P(token | those before), from the second token or, where there is a start token, from the first."""
        ids = self._ids(text)
        start = self._tokenizer.bos_token_id
        if start is not None and ids[:1] != [start]:
            ids = [start, *ids]
        rows = torch.tensor([ids])
        predicted = self._model(input_ids=rows).logits[0, :-1].log_softmax(-1)
        return float(predicted[range(len(ids) - 1), rows[0, 1:]].sum())
