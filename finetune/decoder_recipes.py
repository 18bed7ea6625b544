"""Recipes of generating models: supervised (`sft`), preferences (`dpo`), with retrieved text (`raft`), a toy (`toy`)."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from finetune.recipe_parts import Base, Count, Data, Lora, Parity, RunRecipe, Section, Share, Source, Train


class DecoderBase(Base):
    """The model that the adapter is for."""

    quantise: Literal["nf4", "int8"] | None = None
    """Hold the frozen base in 4 bits (NF4, double quantised; Dettmers et al. 2023, arXiv:2305.14314) or 8."""
    chat_template: Path | None = None
    """A Jinja file that replaces the tokenizer's chat template, in training and in what is saved."""


class DecoderTrain(Train):
    """How it is trained."""

    max_length: Count = 1024
    """Tokens per row, and per packed sequence; the rest of a longer row is cut."""
    packing: bool = True
    """Fill sequences with several rows (best-fit decreasing), each attending to itself alone."""
    assistant_only_loss: bool = True
    """Learn the assistant's turns only. The chat template must mark them: `{% generation %}`."""

    @model_validator(mode="after")
    def _packing_needs_no_grouping(self) -> "DecoderTrain":
        if self.packing and self.length_grouping:
            raise ValueError("packed sequences all have one length; set packing=false or length_grouping=false")
        return self


class DecoderRecipe(RunRecipe):
    """What the decoder kinds share."""

    base: DecoderBase
    """The model that the adapter is for."""
    data: Data
    """What is trained on."""
    lora: Lora = Lora()
    """The adapter's shape."""
    train: DecoderTrain = DecoderTrain()
    """How it is trained."""
    parity: Parity = Parity()
    """How alike it must answer in every form it is served in."""


class SftRecipe(DecoderRecipe):
    """Conversations: rows with `messages`, or with `prompt` and `completion`."""

    kind: Literal["sft"]
    """Supervised fine-tuning."""


class DpoTrain(DecoderTrain):
    """How it is trained."""

    packing: Literal[False] = False
    """Pairs are not packed."""
    learning_rate: float = Field(2e-5, gt=0)
    """Peak learning rate; lower than for supervised training."""
    beta: float = Field(0.1, gt=0)
    """How closely the model is held to the base (Rafailov et al. 2023, arXiv:2305.18290, equation 7)."""


class DpoRecipe(DecoderRecipe):
    """Preferences: rows with `prompt`, `chosen` and `rejected`, as texts or as messages."""

    kind: Literal["dpo"]
    """Direct preference optimisation."""
    train: DpoTrain = DpoTrain()
    """How it is trained."""


class RaftData(Section):
    """Questions with the chunks that answer them (Zhang et al. 2024, RAFT, arXiv:2403.10131)."""

    train: tuple[Source, ...] = Field(min_length=1)
    """Question files: rows with `question`, `answer` and `chunks`, the ids of the chunks that it rests on; no chunks: unanswerable."""
    chunks: tuple[Source, ...] = Field(min_length=1)
    """Chunk files: rows with `id`, `text` and perhaps `title`."""
    eval: tuple[Source, ...] = ()
    """Held-out question files; when there are none, `eval_share` of the questions is held out."""
    eval_share: Share = 0.1
    """The share of questions held out when `eval` is empty."""
    max_rows: Count | None = None
    """Read at most this many questions."""
    n_distractors: int = Field(3, ge=0, le=20)
    """Chunks shown that do not answer: the most alike by words first, as retrieval would err."""
    unanswerable_share: Share = 0.2
    """The share of answerable questions repeated without their chunks; the answer is then "I don't know."."""
    prompt: str = "answer@1"
    """The template in `prompts/templates` that the model is served with."""


class RaftRecipe(DecoderRecipe):
    """Answers with citations from numbered sources, some of which distract."""

    kind: Literal["raft"]
    """Retrieval-augmented fine-tuning."""
    data: RaftData
    """What is trained on."""


class Toy(Section):
    """A decoder small enough to be made here: Qwen3 in miniature with a byte-level BPE."""

    text: tuple[Source, ...] = ()
    """Text files that the tokenizer and the pre-training read. Left out: the sample documents in `data/samples`."""
    vocab_size: int = Field(4096, ge=300)
    """Most entries of the tokenizer; short texts yield fewer."""
    hidden_size: int = Field(128, ge=32)
    """Width; the feed-forward layers are three times as wide."""
    n_layers: Count = 4
    """Layers."""
    steps: Count = 200
    """Pre-training steps."""


class ToyRecipe(DecoderRecipe):
    """Makes a toy decoder at `base.path` unless it is there, then trains an adapter for it as `sft` does."""

    kind: Literal["toy"]
    """A demonstration and a test; minutes on two cores."""
    toy: Toy = Toy()
    """The decoder that is made."""
