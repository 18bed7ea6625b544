"""Settings of evaluations. Imports nothing heavy, so that settings can nest them."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class JudgeConfig(BaseModel):
    """A chat model that judges answers. With a URL, every suite over documents is judged beside the local scorers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = ""
    """An OpenAI-compatible endpoint, such as http://127.0.0.1:8011/v1; empty for no judge."""
    model: str = ""
    """The model's name at that endpoint."""
    api_key: SecretStr = SecretStr("")
    """The endpoint's key, if it wants one."""
    timeout_s: float = Field(120, gt=0)
    """Longest wait for one metric of one answer; what takes longer is an error, and no score."""
    concurrency: int = Field(4, ge=1)
    """Requests under way at a time."""
    max_tokens: int = Field(2048, ge=1)
    """Longest reply of the judge; one that is cut cannot be read."""
    bound: bool = False
    """Whether the server binds replies to ragas' JSON schemas (vLLM, OpenAI and llama.cpp can); otherwise they are asked for in words."""

    @model_validator(mode="after")
    def _names_a_model(self) -> "JudgeConfig":
        if self.url and not self.model:
            raise ValueError(f"url is {self.url!r} but model is empty. Set model to the name it serves.")
        return self


class EvalsConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr = SecretStr("")
    """The key that targets of kind `url` send."""
    track: bool = True
    """Whether `assay eval run` logs to MLflow, where mlflow is installed."""
    price_prompt: float = Field(0, ge=0)
    """What a million prompt tokens cost, in whatever currency you reckon in; 0 leaves costs out."""
    price_completion: float = Field(0, ge=0)
    """What a million completion tokens cost."""
    judge: JudgeConfig = JudgeConfig()
    """The chat model that judges answers, if any."""
    detoxify: Path | None = None
    """A Detoxify checkpoint (.ckpt) that measures toxicity in place of the adapter that ships."""
    detoxify_files: Path | None = None
    """The folder with config and tokenizer of that checkpoint's model, where the checkpoint names none that is here."""
