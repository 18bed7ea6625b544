"""The sections that recipes of several kinds share. Every default of a recipe stands here or in the kind's own model.

Paths are relative to the working directory, which is the checkout. Imports nothing heavy.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


class Source(Section):
    """One file of rows (JSONL, also .gz) and where it comes from: both are written into the card."""

    path: Path
    """The file."""
    licence: str = Field(min_length=2)
    """Its licence: an SPDX id (`Apache-2.0`), or words (`internal`)."""
    origin: str = ""
    """Where it was got from, for the card: an address or a sentence."""


class Data(Section):
    """What is trained on, and what the run is judged by."""

    train: tuple[Source, ...] = Field(min_length=1)
    """Files of training rows."""
    eval: tuple[Source, ...] = ()
    """Files of held-out rows; when there are none, `eval_share` of the training rows is held out."""
    eval_share: Share = 0.1
    """The share of rows held out when `eval` is empty. The side of a row is decided by a hash of its text."""
    max_rows: Count | None = None
    """Read at most this many training rows."""


class Base(Section):
    """The model that the adapter is for."""

    path: str = Field(min_length=1)
    """A local folder, or a Hugging Face id."""
    revision: str | None = None
    """The commit of a Hugging Face id. Without one, the run is not repeatable and the card says so."""
    attn_implementation: str | None = None
    """`sdpa`, `eager`, `flash_attention_2`, or the id of an attention kernel; handed to transformers as it is."""


class Lora(Section):
    """The adapter's shape (Hu et al. 2021, arXiv:2106.09685)."""

    r: Literal[1, 2, 4, 8, 16, 32, 64, 128, 256] = 16
    """Rank. vLLM serves adapters up to its `--max-lora-rank`."""
    alpha: float = Field(32, gt=0)
    """Scale: the update is multiplied by alpha / r."""
    dropout: Share = 0.0
    """Dropout on the adapter's input. 0 keeps training fastest."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """Names of the layers that are adapted, or `all-linear`."""
    rslora: bool = False
    """Scale by alpha / sqrt(r) instead (Kalajdzievski 2023, arXiv:2312.03732)."""


class Train(Section):
    """How it is trained."""

    epochs: float = Field(3.0, gt=0)
    """Passes over the training rows."""
    max_steps: Count | None = None
    """Stop after this many optimiser steps, whatever `epochs` says."""
    batch_size: Count = 8
    """Rows (or packed sequences) per step on each process."""
    gradient_accumulation: Count = 1
    """Batches summed before each optimiser step."""
    learning_rate: float = Field(2e-4, gt=0)
    """Peak learning rate."""
    scheduler: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    """How the learning rate falls."""
    warmup_steps: int = Field(10, ge=0)
    """Steps until the peak learning rate."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's weight decay."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are clipped to this norm."""
    optimizer: str = "adamw_torch"
    """A name that transformers knows: `adamw_torch`, `adamw_torch_fused`, `paged_adamw_8bit`, ..."""
    gradient_checkpointing: bool = True
    """Compute activations twice instead of keeping them: less memory, about a third more time."""
    bf16: bool | None = None
    """Train in bfloat16. Left out: where the CUDA device has it."""
    length_grouping: bool = False
    """Batch rows of like length together. For encoders and unpacked decoders; a packed run has no use for it."""
    logging_steps: Count = 10
    """Steps between two points of the loss curve."""
    eval_steps: Count | None = None
    """Steps between evaluations on the held-out rows. Left out: once per epoch."""
    save_steps: Count | None = None
    """Steps between checkpoints. Left out: with each evaluation."""
    early_stopping: Count | None = 3
    """Stop after this many evaluations without a better held-out loss, and keep the best. `null`: never."""
    resume: bool = True
    """Go on from the newest checkpoint of the same recipe, if there is one."""
    world_size: Count | None = None
    """How many processes must train together; another number stops the run. Left out: what the launcher was asked for."""

    @model_validator(mode="after")
    def _best_checkpoint_is_saved(self) -> "Train":
        if self.early_stopping and self.eval_steps and self.save_steps and self.save_steps % self.eval_steps:
            raise ValueError(
                f"save_steps={self.save_steps} must be a multiple of eval_steps={self.eval_steps} to keep the best"
            )
        return self


class Preflight(Section):
    """When the look at the data stops the run."""

    allow: tuple[str, ...] = ()
    """Codes of blocking findings that were looked at and accepted (`personal_data`, ...). They stand in the card."""
    max_dropped_share: Share = 0.05
    """More rows than this that cannot be used block."""
    max_truncated_share: Share = 0.05
    """More rows than this cut at the maximum length block."""
    max_duplicate_share: Share = 0.1
    """More repeated training rows than this block."""
    near_duplicate: float = Field(0.8, gt=0, le=1)
    """Rows that share this much of their 5-grams count as the same."""
    suites: tuple[str, ...] = ("evals/**/*.jsonl", "data/samples/**/*.jsonl")
    """Evaluation files, as patterns from the checkout's root, that must not be trained on."""


class ServedParity(Section):
    """A vLLM server that must answer alike as well. Either `url` or `python`."""

    url: str | None = Field(None, pattern=r"^https?://.")
    """A server that runs, with `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1; it must see the adapter's folder under the same path, and VLLM_API_KEY hold its key."""
    python: Path | None = None
    """An interpreter that has vLLM (`.venv-vllm/bin/python`): a server is started for the check, and stopped."""
    args: tuple[str, ...] = ()
    """Further arguments of `vllm serve` for a server that is started."""
    startup_timeout_s: float = Field(600, gt=0)
    """Longest wait for it to answer."""

    @model_validator(mode="after")
    def _names_one_server(self) -> "ServedParity":
        if (self.url is None) == (self.python is None):
            raise ValueError("names no server, or two; set either url or python")
        return self


class Parity(Section):
    """How alike the adapter must answer in every form it is served in."""

    n_prompts: Count = 8
    """Held-out prompts that are compared."""
    logprob_tolerance: float = Field(0.02, gt=0)
    """Largest difference of a token's log-probability, in nats."""
    max_new_tokens: Count = 64
    """Tokens generated to see whether the stop token comes and is honoured."""
    served: ServedParity | None = None
    """A vLLM server that must answer alike too, else the adapter is not registered. Left out: only the forms in this process are compared."""


class Card(Section):
    """What only people know."""

    intended_use: str = ""
    """Who should use the adapter for what."""
    limits: str = ""
    """What it must not be used for, and where it is known to fail."""
    licence: str = "apache-2.0"
    """The adapter's own licence, as the Hugging Face header wants it."""
    language: str = "en"
    """The language of the training rows."""


class Tracking(Section):
    """Where the run is recorded."""

    uri: str | None = None
    """MLflow server or database. Left out: MLFLOW_TRACKING_URI, else `sqlite:///var/mlflow.db`."""
    experiment: str = "finetune"
    """The MLflow experiment."""
    register_as: str | None = None
    """The registered model's name. Left out: the recipe's name."""
    enabled: bool = True
    """False: train and write the card, tell MLflow nothing."""


class RunRecipe(Section):
    """What every kind has."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")
    """The adapter's name: `models:/<name>` in the registry, `<name>@<version>` in vLLM."""
    description: str = ""
    """One sentence for the card."""
    seed: int = Field(17, ge=0)
    """Seed of weights, order, dropout and the split."""
    output: Path = Path("var/finetune")
    """The folder that gets `<name>/`: adapter, card, manifest, checkpoints."""
    preflight: Preflight = Preflight()
    """When the look at the data stops the run."""
    card: Card = Card()
    """What only people know."""
    tracking: Tracking = Tracking()
    """Where the run is recorded."""

    @property
    def folder(self) -> Path:
        return self.output / self.name
