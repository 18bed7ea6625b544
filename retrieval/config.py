"""Settings of ingest, indexes and search. Imports nothing heavy, so that settings can nest them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from retrieval.chunking import ChunkingConfig
from retrieval.dense_config import DenseConfig
from retrieval.fusion import FusionConfig


class IngestConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    chunking: ChunkingConfig = ChunkingConfig()
    """How texts are cut."""
    batch_chunks: int = Field(256, ge=1)
    """Commit when this many new chunks wait for the encoder ..."""
    batch_documents: int = Field(64, ge=1)
    """... or this many documents ..."""
    batch_s: float = Field(2.0, gt=0)
    """... or the oldest has waited this long, in seconds."""


class IndexConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    poll_s: float = Field(0.25, gt=0, le=1)
    """How often a process looks for writes that other processes made, in seconds."""
    merge_at_rows: int = Field(2000, ge=1)
    """Merge the delta into the main index when it has this many rows ..."""
    merge_at_share: float = Field(0.1, gt=0, le=1)
    """... or this share of the main index, whichever is more."""
    dense: DenseConfig = DenseConfig()
    """How the main index is chosen and tuned."""


class SearchConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    candidates: int = Field(100, ge=10, le=1000)
    """How many chunks each of the two searches contributes to the fusion."""
    reranked: Literal["nothing", "answers", "everything"] = "answers"
    """What is put in a new order where there is a reranker: what answers are made of, or every search too, which then takes
    100 ms and more."""
    rerank: int = Field(50, ge=1, le=1000)
    """How many fused chunks are put in a new order."""
    reads: int = Field(16, ge=0, le=1000)
    """How many of those, the likeliest, the reranker reads."""
    fusion: FusionConfig = FusionConfig()
    """How the two lists are weighed."""
