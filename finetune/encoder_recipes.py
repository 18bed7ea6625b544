"""Recipes of encoders: embedder, reranker, reader, grounding, classifier. The trainers are in `finetune/encoders`."""

from typing import Literal

from pydantic import Field

from finetune.recipe_parts import Base, Count, Data, Lora, Parity, RunRecipe, Section, Share, Source, Train


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
    base_dropout: Share = 0.0
    """Dropout inside the frozen base. On CPU 0.1 costs a quarter of the speed; `lora.dropout` is the adapter's own."""


class EncoderLora(Lora):
    """The adapter's shape, and what it begins with."""

    start_from: str = ""
    """The folder of an adapter of this shape (of any encoder kind) whose weights training begins with: what it knows helps where rows
    are few. Left out: a fresh one. A learning rate a third as high keeps more of it."""


class EncoderSource(Source):
    """A file of rows, or a public data set as it is published: `format` says which."""

    format: str = "rows"
    """`rows`: the fields of this kind. Otherwise a data set that `finetune/encoders/*_rows.py` turns into such rows."""
    name: str = ""
    """What it is called in `leave_out` and in the metrics. Left out: its format."""
    field: str = ""
    """For the format `texts`: the field that holds the text."""
    label: str = ""
    """For the format `texts`: the label of every row."""
    max_rows: Count | None = None
    """Take at most this many rows, chosen by a hash of what they say."""

    @property
    def called(self) -> str:
        return self.name or (self.format if self.format != "rows" else self.path.name.split(".")[0])


class EncoderData(Data):
    """What is trained on, and what the run is judged by."""

    train: tuple[EncoderSource, ...] = Field(min_length=1)
    """Files of training rows."""
    eval: tuple[EncoderSource, ...] = ()
    """Files of held-out rows; when there are none, `eval_share` of the training rows is held out."""
    eval_share: Share = 0.2
    """The share of rows held out when `eval` is empty: whole groups (articles, documents, attack categories), never single rows."""
    leave_out: tuple[str, ...] = ()
    """Sources, by name, that are measured and not trained on: leave-one-source-out evaluation."""


class ReaderData(EncoderData):
    """Questions with their paragraphs."""

    n_article_negatives: float = Field(0.25, ge=0)
    """Unanswerable rows per answerable question, made with another paragraph of the same article."""
    n_retrieved_negatives: float = Field(0.25, ge=0)
    """Unanswerable rows per answerable question, made with the paragraphs most alike by words, whatever the article."""
    n_edited_negatives: float = Field(0.0, ge=0)
    """Unanswerable rows per answerable question, made by editing the question: another name or number, an opposite, a negation."""


class Planting(Section):
    """Texts of one label that are planted into texts of another: orders into documents."""

    sources: tuple[str, ...] = Field(min_length=1)
    """The names of the sources whose texts are planted. They are not rows of their own."""
    label: str
    """The label of a text that something was planted in."""
    per_text: Count = 20
    """Hosts for each planted text, drawn among the rows of the other labels, on the same side of the split."""
    most_words: Count = 140
    """Hosts are cut to a stretch of at most this many words and marks, with or without something planted."""


class ClassifierData(EncoderData):
    """Texts with labels."""

    plant: Planting | None = None
    """Plant the texts of one source into the others."""


class EncoderRecipe(RunRecipe):
    """What the encoder kinds share."""

    base: EncoderBase = EncoderBase()
    """The encoder that the adapter is for."""
    data: EncoderData
    """What is trained on."""
    lora: EncoderLora = EncoderLora()
    """The adapter's shape, and what it begins with."""
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
    negatives_from: int = Field(30, ge=1)
    """Mined negatives are drawn from this many nearest texts."""
    temperature: float = Field(0.05, gt=0)
    """Divides the cosine similarities."""


class RerankerRecipe(EncoderRecipe):
    """Pairs: rows with `query`, `positive` and perhaps `negatives`."""

    kind: Literal["reranker"]
    """A score for a question and a chunk read together."""
    n_hard_negatives: int = Field(4, ge=1)
    """Wrong candidates that each right one is compared with: those of the row, then mined from an index of all positives."""
    negatives_from: int = Field(30, ge=1)
    """Mined negatives are drawn from this many nearest texts."""
    pooling: Literal["cls", "mean"] = "mean"
    """What the linear head reads: the state of [CLS], or the mean over tokens."""


class ReaderRecipe(EncoderRecipe):
    """Spans: rows with `question`, `context`, `answers` (texts and starts); none: no answer."""

    kind: Literal["reader"]
    """Extracts the answer from a chunk, or says that it is not there."""
    data: ReaderData
    """What is trained on."""
    stride: Count = 96
    """Tokens by which windows over a long context overlap."""
    max_answer_tokens: Count = 30
    """Longer spans are not considered."""


class GroundingRecipe(EncoderRecipe):
    """Rows with `premise`, `hypothesis`, `label`."""

    kind: Literal["grounding"]
    """Says whether the premise supports the hypothesis."""
    labels: tuple[str, ...] = ("supported", "unsupported")
    """The values of `label`, in the order of the outputs. The first is what is looked for."""
    pooling: Literal["cls", "mean"] = "mean"
    """What the linear head reads: the state of [CLS], or the mean over tokens."""
    balance: bool = True
    """Weigh the loss so that every label counts the same."""


class ClassifierRecipe(EncoderRecipe):
    """Rows with `text` and `label`."""

    kind: Literal["classifier"]
    """Toxicity, injection, topics."""
    data: ClassifierData
    """What is trained on."""
    labels: tuple[str, ...] = Field(min_length=2)
    """The values of `label`, in the order of the outputs. The first is what is looked for."""
    threshold: Share = 0.5
    """The probability from which the first label is given."""
    pooling: Literal["cls", "mean"] = "mean"
    """What the linear head reads: the state of [CLS], or the mean over tokens."""
    balance: bool = True
    """Weigh the loss so that every label counts the same."""
