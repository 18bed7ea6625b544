"""Settings of tabular serving. Imports nothing heavy, so that settings can nest them."""

from pydantic import BaseModel, ConfigDict, Field


class TabularConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    models: str = ""
    """The folder of saved models, NAME@VERSION each; empty for `var/tabular/models`."""
    default_model: str = ""
    """The model that `/invocations` asks; empty for the only one there is."""
    max_rows: int = Field(1000, ge=1, le=100_000)
    """Most rows in one prediction request."""
    slow_ms: float = Field(50, gt=0)
    """A prediction that takes longer counts as slow in a rollout."""
    log_share: float = Field(1.0, ge=0, le=1)
    """The share of prediction requests that are kept in the database, whole requests each; 0 for none."""
    log_queue: int = Field(20_000, ge=1)
    """Predictions that wait to be written; further ones are not kept, and counted."""
    log_flush_s: float = Field(0.5, gt=0, le=60)
    """How often they are written; the last ones are lost when the process is killed."""
    keep_days: int = Field(180, ge=1)
    """Age at which kept predictions are deleted."""
