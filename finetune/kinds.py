"""Which module trains which kind of recipe, and what `finetune.train` asks of it. Imports the module only when told to.

A module has three functions:

    prepare(recipe) -> Prepared                     rows read and tokenised; no weights loaded
    train(recipe, prepared, place, log) -> Trained  on every process; `log` takes each point of the curve, with its `step`
    check_parity(recipe, prepared, trained, remote) -> ParityReport      on the main process, after training
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from data.errors import MissingExtra
from finetune.examples import Prepared
from finetune.launch import Place
from finetune.parity_report import ParityReport, Remote
from finetune.recipe import AnyRecipe

MODULES = {
    "sft": "finetune.sft",
    "raft": "finetune.sft",
    "toy": "finetune.sft",
    "dpo": "finetune.dpo",
    "embedder": "finetune.encoders.embedder",
    "reranker": "finetune.encoders.reranker",
    "reader": "finetune.encoders.reader",
    "grounding": "finetune.encoders.grounding",
    "classifier": "finetune.encoders.classifier",
}
PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "datasets",
    "bitsandbytes",
    "sentence_transformers",
    "mlflow",
)


Log = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Measured:
    """A held-out metric with its 95 % interval over `n` rows."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Trained:
    """What training left: the adapter's folder, held-out metrics, the curve (one dict per logged step), facts for the card."""

    folder: Path
    metrics: dict[str, Measured]
    curve: tuple[dict[str, float], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    base_digest: str = ""
    peak_memory_bytes: int = 0


class Kind(Protocol):
    prepare: Callable[[AnyRecipe], Prepared]
    train: Callable[[AnyRecipe, Prepared, Place, Log], Trained]
    check_parity: Callable[[AnyRecipe, Prepared, Trained, Remote | None], ParityReport]


def kind_of(recipe: AnyRecipe) -> Kind:
    """Import the module of a recipe's kind. Raises: MissingExtra naming the package that is not there."""
    try:
        return import_module(MODULES[recipe.kind])  # type: ignore[return-value]
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in PACKAGES:
            raise MissingExtra(str(error.name), extra="finetune") from error
        raise
