"""An adapter on a vLLM server, as parity asks it. Knows no address and no key: it is given the call that asks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data.errors import NotFound
from finetune.kinds import Trained, kind_of
from finetune.parity_report import Message, ParityReport, Remote
from finetune.recipe import load_recipe

Ask = Callable[[str, str, dict[str, Any]], Any]
"""(method, path, body) -> the decoded reply; raises what keeps the server from answering."""


class ServedForm:
    """One model of a vLLM server: token ids, log-probabilities, continuations."""

    def __init__(self, ask: Ask, name: str) -> None:
        self.name = name
        self._ask = ask

    def token_ids(self, messages: Sequence[Message]) -> list[int]:
        """The prompt's token ids as the server renders the chat template, generation prompt included."""
        body = {"model": self.name, "messages": list(messages), "add_generation_prompt": True}
        return self._ask("POST", "/tokenize", body)["tokens"]

    def logprobs(self, token_ids: Sequence[int]) -> list[float]:
        """The natural log of each token's probability given those before it, from the second token on."""
        body = {"model": self.name, "prompt": list(token_ids), "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
        scored = self._ask("POST", "/v1/completions", body)["choices"][0]["prompt_logprobs"]
        return [entry[str(token)]["logprob"] for token, entry in zip(token_ids[1:], scored[1:], strict=True)]

    def generate(self, token_ids: Sequence[int], max_new_tokens: int) -> tuple[list[int], str]:
        """The greedy continuation and why it ended: `stop` or `length`."""
        body = {"model": self.name, "prompt": list(token_ids), "max_tokens": max_new_tokens, "temperature": 0}
        choice = self._ask("POST", "/v1/completions", body | {"return_token_ids": True})["choices"][0]
        return choice["token_ids"], choice["finish_reason"]


def check_served(folder: Path, remote: Remote) -> ParityReport:
    """Compare base with adapter, merged, and `remote` on the held-out rows, after training: the folder remembers the recipe.

    Needs the files that the recipe names. Raises: NotFound for a folder that finetune.train did not write.
    """
    settings = folder / "recipe.yaml"
    if not settings.exists():
        raise NotFound(
            f"{folder} has no recipe.yaml.", next_step="Name the folder of an adapter that finetune.train wrote."
        )
    recipe = load_recipe(settings)
    kind = kind_of(recipe)
    return kind.check_parity(recipe, kind.prepare(recipe), Trained(folder, {}), remote)
