"""Settings of the generating model. Imports nothing heavy, so that settings can nest them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class LLMConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    model: str = ""
    """The model's name at `base_url`, or a Hugging Face id or local path; empty for none: answers are extracted."""
    base_url: str = ""
    """An OpenAI-compatible endpoint, such as http://127.0.0.1:8011/v1; empty to load `model` in this process."""
    api_key: SecretStr = SecretStr("")
    """The endpoint's key, if it wants one."""
    timeout_s: float = Field(60, gt=0)
    """Longest wait for the whole reply, in seconds."""
    max_tokens: int = Field(600, ge=1)
    """Longest reply."""
    temperature: float = Field(0.0, ge=0, le=2)
    """0 for the same answer to the same question."""
    seed: int = 0
    """Passed on, so that sampling can be repeated where the server supports it."""
    breaker_failures: int = Field(3, ge=1)
    """Failures in a row after which the model is left alone for a while ..."""
    breaker_rest_s: float = Field(20, gt=0)
    """... of so many seconds; the extractive answer stands in, marked as such."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where a model loaded in this process runs."""

    @model_validator(mode="after")
    def _names_a_model(self) -> "LLMConfig":
        if self.base_url and not self.model:
            raise ValueError(f"base_url is {self.base_url!r} but model is empty. Set model to the name it serves.")
        return self
