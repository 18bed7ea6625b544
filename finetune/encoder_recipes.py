"""Recipes of encoders: embedder, reranker, reader, grounding, classifier. The trainers are in `finetune/encoders`."""

from typing import Literal

from pydantic import Field

from finetune.recipe_parts import Base, Count, Data, Lora, Parity, RunRecipe, Share, Train


class EncoderBase(Base):
    """The encoder that the adapter is for."""

    path: str = "all-MiniLM-L6-v2"
    """`all-MiniLM-L6-v2` (the pinned weights that ship with Assay), a local folder, or a Hugging Face id."""


class EncoderTrain(Train):
    """How it is trained."""

    max_length: Count = 256
    """Tokens per text; the rest of a longer text is cut."""
    batch_size: Count = 32
    """Rows per step on each process."""
    gradient_checkpointing: bool = False
    """Encoders fit in memory without it."""
    length_grouping: bool = True
    """Batch texts of like length together."""


class EncoderRecipe(RunRecipe):
    """What the encoder kinds share."""

    base: EncoderBase = EncoderBase()
    """The encoder that the adapter is for."""
    data: Data
    """What is trained on."""
    lora: Lora = Lora()
    """The adapter's shape."""
    train: EncoderTrain = EncoderTrain()
    """How it is trained."""
    parity: Parity = Parity()
    """How alike it must answer in every form it is served in."""


class EmbedderRecipe(EncoderRecipe):
    """Contrastive: rows with `query`, `positive` and perhaps `negatives`."""

    kind: Literal["embedder"]
    """Sentence embeddings."""
    n_hard_negatives: int = Field(4, ge=0)
    """Negatives per query, mined from an index of all positives."""
    temperature: float = Field(0.05, gt=0)
    """Divides the cosine similarities."""


class RerankerRecipe(EncoderRecipe):
    """Pairs: rows with `query`, `positive` and perhaps `negatives`."""

    kind: Literal["reranker"]
    """A score for a question and a chunk read together."""
    n_hard_negatives: int = Field(4, ge=0)
    """Negatives per query, mined from an index of all positives."""


class ReaderRecipe(EncoderRecipe):
    """Spans: rows with `question`, `context`, `answers` (texts and starts); none: no answer."""

    kind: Literal["reader"]
    """Extracts the answer from a chunk, or says that it is not there."""
    stride: Count = 96
    """Tokens by which windows over a long context overlap."""


class GroundingRecipe(EncoderRecipe):
    """Rows with `premise`, `hypothesis`, `label`."""

    kind: Literal["grounding"]
    """Says whether the premise supports the hypothesis."""
    labels: tuple[str, ...] = ("supported", "unsupported")
    """The values of `label`, in the order of the outputs."""


class ClassifierRecipe(EncoderRecipe):
    """Rows with `text` and `label`."""

    kind: Literal["classifier"]
    """Toxicity, injection, topics."""
    labels: tuple[str, ...] = Field(min_length=2)
    """The values of `label`, in the order of the outputs."""
    threshold: Share = 0.5
    """The probability from which a label is given."""
