"""Settings of the main dense index. Imports nothing heavy."""

from pydantic import BaseModel, ConfigDict, Field


class DenseConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    exact_up_to: int = Field(50_000, ge=1_000)
    """Collections up to this many chunks are searched exactly; larger ones through inverted lists."""
    recall_target: float = Field(0.97, gt=0, le=1)
    """recall@10 against exact search that a larger index is tuned to."""
    tuning_queries: int = Field(300, ge=10)
    """Made-up questions on which recall is measured."""
    training_points: int = Field(40, ge=1)
    """Vectors per inverted list on which the lists' centroids are trained."""
    mmap_from: int = Field(200_000, ge=0)
    """Inverted lists over at least this many chunks are memory-mapped instead of read."""
