"""What a recipe's `train` section means to a transformers Trainer, and the parts all trainers share: curve, resume, stop.

Used by decoders and encoders alike; knows neither.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import EarlyStoppingCallback, TrainerCallback

from finetune.kinds import Log
from finetune.launch import Place
from finetune.recipe import AnyRecipe, training_digest
from finetune.recipe_parts import Train

CHECKPOINT_FILES = ("trainer_state.json", "optimizer.pt", "scheduler.pt")
"""Written last, in this order reversed: a checkpoint that lacks one was torn by a kill."""


def uses_bf16(train: Train) -> bool:
    """bfloat16 as the recipe says, else where the CUDA device has it."""
    return train.bf16 if train.bf16 is not None else torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def checkpoint_folder(recipe: AnyRecipe) -> Path:
    """Checkpoints live under the digest of what decides the weights: another recipe never resumes them."""
    return recipe.folder / "checkpoints" / training_digest(recipe)[:12]


def trainer_settings(recipe: AnyRecipe, place: Place) -> dict[str, Any]:
    """Keyword arguments of TrainingArguments and its descendants (SFTConfig, DPOConfig, ...)."""
    train = recipe.train
    has_cuda = torch.cuda.is_available()
    eval_steps = train.eval_steps or train.save_steps
    return {
        "output_dir": str(checkpoint_folder(recipe)),
        "num_train_epochs": train.epochs,
        "max_steps": train.max_steps or -1,
        "per_device_train_batch_size": train.batch_size,
        "per_device_eval_batch_size": train.batch_size,
        "gradient_accumulation_steps": train.gradient_accumulation,
        "learning_rate": train.learning_rate,
        "lr_scheduler_type": train.scheduler,
        "warmup_steps": train.warmup_steps,
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.max_grad_norm,
        "optim": train.optimizer,
        "gradient_checkpointing": train.gradient_checkpointing,
        "bf16": uses_bf16(train),
        "use_cpu": not has_cuda,
        "ddp_backend": "gloo" if place.world_size > 1 and not has_cuda else None,
        "dataloader_pin_memory": has_cuda,
        "train_sampling_strategy": "group_by_length" if train.length_grouping else "random",
        "logging_steps": train.logging_steps,
        "eval_strategy": "steps" if eval_steps else "epoch",
        "eval_steps": eval_steps,
        "save_strategy": "steps" if eval_steps else "epoch",
        "save_steps": train.save_steps or eval_steps or 500,
        "save_total_limit": 2,
        "load_best_model_at_end": train.early_stopping is not None,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "restore_callback_states_from_checkpoint": True,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "report_to": "none",
        "disable_tqdm": not (place.is_main and sys.stderr.isatty()),
    }


def callbacks(recipe: AnyRecipe, log: Log) -> list[TrainerCallback]:
    """The curve, and early stopping where the recipe wants it."""
    stop = recipe.train.early_stopping
    return [Curve(log), *([EarlyStoppingCallback(early_stopping_patience=stop)] if stop else [])]


class Curve(TrainerCallback):
    """Hands each logged point to `log`, with its step."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        if state.is_world_process_zero and logs:
            numbers = {name: float(value) for name, value in logs.items() if isinstance(value, int | float)}
            self._log({"step": float(state.global_step), **numbers})


def checkpoint_to_resume(recipe: AnyRecipe, place: Place) -> str | None:
    """The newest whole checkpoint of this very recipe, or None. Checkpoints of other recipes by this name are removed."""
    folder = checkpoint_folder(recipe)
    if place.is_main:
        for other in folder.parent.glob("*"):
            if other != folder or not recipe.train.resume:
                shutil.rmtree(other, ignore_errors=True)
    if not recipe.train.resume:
        return None
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    return next((str(path) for path in found if is_whole(path)), None)


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end. A kill in between leaves files missing or torn."""
    if not any(checkpoint.glob("*.safetensors")) or not all((checkpoint / name).exists() for name in CHECKPOINT_FILES):
        return False
    try:
        json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))
    except ValueError:
        return False
    return any(checkpoint.glob("rng_state*.pth"))


def peak_memory_bytes() -> int:
    """Of the CUDA device, else of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
