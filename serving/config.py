"""Settings of the local encoder. Imports nothing heavy, so that settings can nest them."""

from pydantic import BaseModel, ConfigDict, Field


class EncoderConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = ""
    """A Hugging Face id or a local path of another encoder (needs the `finetune` extra); empty for the built-in one."""
    threads: int = Field(0, ge=0)
    """How many texts are encoded at once, one core each; 0 for one per core that this process may use."""
