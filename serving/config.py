"""Settings of the local encoder. Imports nothing heavy, so that settings can nest them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class EncoderConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = ""
    """A Hugging Face id or local path of another encoder (needs the `finetune` extra); empty for the built-in."""
    document_precision: Literal["int8", "fp32"] = "int8"
    """How the built-in encoder computes documents. Numbers in docs/decisions/0002-encoder.md."""
    query_precision: Literal["int8", "fp32"] = "int8"
    """How it computes queries: fp32 takes twice the time and another 90 MB."""
    threads: int = Field(0, ge=0)
    """How many texts are encoded at once, one core each; 0 for one per core that this process may use."""


class HeadsConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = ""
    """A folder with one folder per adapter: reader, reranker, grounding, toxicity, injection; empty for the shipped ones."""
    precision: Literal["int8", "fp32"] = "int8"
    """How the backbone that they share computes. Numbers in docs/heads.md."""
    threads: int = Field(0, ge=0)
    """How many batches run at once, one core each; 0 for one per core that this process may use."""
    grounds: bool = True
    """Whether the grounding adapter decides what supports a written sentence, in place of shared words."""
