"""What happens after a decoder was trained, whatever trained it: saved, measured, compared in all its forms."""

import gc
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.distributed
from transformers import AutoTokenizer, Trainer

from finetune.decoder_metrics import heldout_metrics
from finetune.decoder_model import base_digest, merged, with_adapter
from finetune.decoder_recipes import DecoderRecipe
from finetune.examples import Prepared
from finetune.hugging_face_form import HuggingFaceForm
from finetune.kinds import Measured, Trained
from finetune.launch import Place
from finetune.parity import Case, Expected, compare
from finetune.parity_report import ParityReport, Remote
from finetune.trainer_settings import peak_memory_bytes, uses_bf16

NOT_SERVED = (
    "served: no server was given (have one block registration with parity.served.python=.venv-vllm/bin/python or "
    "parity.served.url=http://host:8011, or compare later with: assay llm parity RECIPE)"
)


def save_adapter(
    recipe: DecoderRecipe, prepared: Prepared, place: Place, trainer: Trainer, resumed: str | None
) -> Trained:
    """Save the adapter with its tokenizer, then measure what was saved: it is loaded again from the files."""
    folder = recipe.folder / "adapter"
    if place.is_main:
        shutil.rmtree(folder, ignore_errors=True)
    history = tuple(
        {k: float(v) for k, v in point.items() if isinstance(v, int | float)} for point in trainer.state.log_history
    )
    facts = {
        "n_steps": trainer.state.global_step,
        "n_epochs": trainer.state.epoch,
        "n_processes": place.world_size,
        "n_trainable_parameters": trainer.model.num_parameters(only_trainable=True),
        "resumed_from": Path(resumed).name if resumed else None,
    }
    trainer.save_model(str(folder))
    peak = peak_memory_bytes()
    _free(trainer)
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()  # the others leave; what follows takes the main process minutes
    if not place.is_main:
        return Trained(folder, {}, history, facts)
    (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle: nobody should have to load one
    prepared.aids.save_pretrained(folder)
    metrics = _measured(recipe, prepared, folder)
    return Trained(folder, metrics, history, facts, base_digest(recipe.base), peak)


def check_forms(
    recipe: DecoderRecipe, folder: Path, cases: Sequence[Case], stop_id: int, remote: Remote | None
) -> ParityReport:
    """Base with adapter, merged, and served, in float32 and on an unquantised base: merging is defined for no other."""
    base = recipe.base.model_copy(update={"quantise": None})
    model = with_adapter(base, folder, bf16=False)
    saved = AutoTokenizer.from_pretrained(folder)
    # vLLM renders with the base's tokenizer, so the merged form does too
    served = AutoTokenizer.from_pretrained(recipe.base.path, revision=recipe.base.revision)
    adapter = HuggingFaceForm("base with adapter", model, saved)
    expected = Expected(stop_id, adapter.stop_ids, recipe.parity.logprob_tolerance, recipe.parity.max_new_tokens)
    whole = HuggingFaceForm("merged", merged(with_adapter(base, folder, bf16=False)), served)
    if not served.chat_template:
        served.chat_template = saved.chat_template  # vLLM is then given the file: --chat-template
    skipped = () if remote else (NOT_SERVED,)
    return compare([adapter, whole, *([remote] if remote else [])], cases, expected, skipped)


def _measured(recipe: DecoderRecipe, prepared: Prepared, folder: Path) -> dict[str, Measured]:
    if not prepared.eval:
        return {}
    model = with_adapter(recipe.base, folder, bf16=uses_bf16(recipe.train))
    if torch.cuda.is_available():
        model = model.cuda()
    return heldout_metrics(model, prepared.eval, recipe.train.batch_size)


def _free(trainer: Trainer) -> None:
    trainer.accelerator.free_memory()
    trainer.model = trainer.model_wrapped = trainer.optimizer = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
