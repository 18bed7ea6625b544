"""Trains an adapted encoder with transformers' Trainer and saves it. Knows rows only as token ids with labels."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.distributed
from torch import nn
from transformers import Trainer, TrainingArguments

from finetune.encoder_recipes import EncoderRecipe
from finetune.encoders.adapted_encoder import WEIGHTS, AdaptedEncoder
from finetune.encoders.batches import Collate, Item
from finetune.kinds import Log
from finetune.launch import Place
from finetune.rows import file_sha256
from finetune.trainer_settings import callbacks, checkpoint_to_resume, peak_memory_bytes, trainer_settings

MOST_EVAL_ITEMS = 1024
"""Held-out items that the loss during training is taken over; metrics afterwards are taken over all."""


@dataclass(frozen=True)
class Ran:
    """A finished training, as the card and the curve want it."""

    curve: tuple[dict[str, float], ...]
    facts: dict[str, Any]
    peak_memory_bytes: int


def fit(
    recipe: EncoderRecipe,
    place: Place,
    log: Log,
    model: AdaptedEncoder,
    items: tuple[Sequence[Item], Sequence[Item]],
    collate: Collate,
) -> Ran:
    """Train on the first of `items`, taking the loss on the second; go on from a checkpoint of the same recipe."""
    train_items, eval_items = items
    resumed = checkpoint_to_resume(recipe, place)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            **settings_for(recipe, place, has_eval=bool(eval_items)),
            remove_unused_columns=False,
            prediction_loss_only=True,
            label_names=["labels"],
        ),
        data_collator=collate,
        train_dataset=list(train_items),  # type: ignore[arg-type]
        eval_dataset=list(eval_items[:MOST_EVAL_ITEMS]) or None,  # type: ignore[arg-type]
        callbacks=callbacks(recipe, log) if eval_items else callbacks(recipe, log)[:1],
    )
    trainer.train(resume_from_checkpoint=resumed)
    return what_ran(recipe, trainer, place, resumed)


def settings_for(recipe: EncoderRecipe, place: Place, *, has_eval: bool) -> dict[str, Any]:
    """The recipe's settings; without held-out rows nothing is evaluated and no checkpoint is the best."""
    settings = trainer_settings(recipe, place)
    if not has_eval:
        settings |= {"eval_strategy": "no", "load_best_model_at_end": False}
    return settings


def what_ran(recipe: EncoderRecipe, trainer: Trainer, place: Place, resumed: str | None) -> Ran:
    """Read the curve and the facts off a trainer that is done, and let the other processes go."""
    curve = tuple(
        {k: float(v) for k, v in point.items() if isinstance(v, int | float)} for point in trainer.state.log_history
    )
    facts = {
        "n_steps": trainer.state.global_step,
        "n_epochs": trainer.state.epoch,
        "n_processes": place.world_size,
        "n_trainable_parameters": n_trainable(trainer.model),
        "resumed_from": Path(resumed).name if resumed else None,
        "started_from": _start(recipe),
    }
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    return Ran(curve, facts, peak_memory_bytes())


def _start(recipe: EncoderRecipe) -> str | None:
    """The adapter that this one began with, by its weights: its data are this one's too."""
    if not recipe.lora.start_from:
        return None
    weights = Path(recipe.lora.start_from, WEIGHTS)
    return f"{weights.parent.name}, weights sha256 {file_sha256(weights)}"


def n_trainable(model: nn.Module) -> int:
    """Parameters that training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def emptied(recipe: EncoderRecipe, place: Place) -> Path:
    """The adapter's folder, without what an earlier run left there."""
    folder = recipe.folder / "adapter"
    if place.is_main:
        shutil.rmtree(folder, ignore_errors=True)
    return folder
