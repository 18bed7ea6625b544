"""A transformers model as parity asks it: renders prompts, scores tokens, goes on from them."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from finetune.conversations import prompt_ids
from finetune.parity_report import Message


class HuggingFaceForm:
    """`name` says which form it is. Float32 log-probabilities, greedy continuation."""

    def __init__(self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.name = name
        self._model = model
        self._tokenizer = tokenizer

    def token_ids(self, messages: Sequence[Message]) -> list[int]:
        return prompt_ids(self._tokenizer, messages)

    @torch.no_grad()
    def logprobs(self, token_ids: Sequence[int]) -> list[float]:
        ids = torch.tensor([list(token_ids)], device=self._model.device)
        logits = self._model(input_ids=ids).logits[0, :-1].float()
        return torch.log_softmax(logits, -1).gather(-1, ids[0, 1:, None])[:, 0].tolist()

    @torch.no_grad()
    def generate(self, token_ids: Sequence[int], max_new_tokens: int) -> tuple[list[int], str]:
        ids = torch.tensor([list(token_ids)], device=self._model.device)
        out = self._model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_new_tokens, do_sample=False
        )
        new = out[0, ids.shape[1] :].tolist()
        return new, "length" if len(new) == max_new_tokens and new[-1] not in self.stop_ids else "stop"

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """The tokens at which the model's own settings stop."""
        stop = self._model.generation_config.eos_token_id
        return tuple(stop) if isinstance(stop, list | tuple) else () if stop is None else (stop,)
