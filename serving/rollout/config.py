"""Settings of the rollout engine. Imports nothing heavy, so that settings can nest them."""

from pydantic import BaseModel, ConfigDict, Field


class RolloutConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    poll_s: float = Field(0.2, gt=0, le=1)
    """How often each process asks whether a rollout has changed; a rollback is in force everywhere within this time."""
    judge_s: float = Field(1.0, gt=0)
    """How often the evidence of running trials is weighed."""
    slow_s: float = Field(10.0, gt=0)
    """An answer that takes longer counts as slow."""
    shadow_workers: int = Field(1, ge=1)
    """Threads that ask shadow releases in the background."""
    shadow_queue: int = Field(32, ge=1)
    """Requests that wait for a shadow's answer; further ones are not mirrored, and counted."""
