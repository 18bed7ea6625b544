"""Loads decoders: the base as a recipe wants it, the base with an adapter, the two merged. Knows no trainer."""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from data.errors import InvalidInput, ModelUnavailable
from finetune.decoder_recipes import DecoderBase
from finetune.launch import Place
from finetune.manifest import weights_digest
from finetune.recipe_parts import Lora


def load_base(base: DecoderBase, *, bf16: bool, place: Place | None = None) -> PreTrainedModel:
    """The frozen base, quantised where the recipe says so. Raises: ModelUnavailable."""
    options: dict[str, Any] = {"dtype": torch.bfloat16 if bf16 else torch.float32}
    if base.attn_implementation:
        options["attn_implementation"] = base.attn_implementation
    if base.quantise:
        options["quantization_config"] = _quantisation(base.quantise, options["dtype"])
        if torch.cuda.is_available():
            options["device_map"] = {"": (place or Place()).local_rank}
    try:
        return AutoModelForCausalLM.from_pretrained(base.path, revision=base.revision, **options)
    except (OSError, ValueError, ImportError) as error:
        raise ModelUnavailable(
            f"The base model {base.path!r} cannot be loaded: {str(error).splitlines()[0]}",
            next_step="Set base.path to a local folder in Hugging Face layout, or download it first: hf download ID.",
        ) from error


def lora_config(lora: Lora) -> LoraConfig:
    """The adapter's shape, in forms that vLLM serves."""
    modules = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=modules,
        use_rslora=lora.rslora,
        task_type="CAUSAL_LM",
    )


def with_adapter(base: DecoderBase, folder: Path, *, bf16: bool) -> PeftModel:
    """The base with the adapter saved in `folder`, for inference."""
    return PeftModel.from_pretrained(load_base(base, bf16=bf16), str(folder)).eval()


def merged(model: PeftModel) -> PreTrainedModel:
    """Fold the adapter into the base's weights. Raises: InvalidInput for a quantised base, whose weights would be rounded again."""
    config = model.get_base_model().config
    if getattr(config, "quantization_config", None) is not None:
        raise InvalidInput(
            f"The base {config.name_or_path!r} is quantised; merging would round the adapter away.",
            field="base.quantise",
            next_step="Load the base unquantised and merge into that (python -m finetune.merge does), or serve the adapter as it is.",
        )
    return model.merge_and_unload().eval()


def base_digest(base: DecoderBase) -> str:
    """sha256 over the base's weights, configuration and tokenizer, wherever they are stored."""
    folder = Path(base.path)
    if not folder.is_dir():
        folder = Path(snapshot_download(base.path, revision=base.revision, local_files_only=True))
    return weights_digest(folder)


def _quantisation(how: str, dtype: torch.dtype) -> BitsAndBytesConfig:
    if how == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
