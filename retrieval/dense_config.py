"""Settings of the main dense index. Imports nothing heavy."""

from pydantic import BaseModel, ConfigDict, Field


class DenseConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    exact_up_to: int = Field(50_000, ge=0)
    """Collections up to this many chunks are searched exactly (float16 codes, which is how vectors are stored)."""
    recall_target: float = Field(0.97, gt=0, le=1)
    """recall@10 against exact search that a larger index is tuned to."""
    tuning_queries: int = Field(200, ge=10)
    """Held-out queries used for tuning."""
    mmap_from: int = Field(200_000, ge=0)
    """Indexes of at least this many chunks are memory-mapped."""
