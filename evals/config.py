"""Settings of evaluations. Imports nothing heavy, so that settings can nest them."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr


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
