"""Settings of a vLLM server that `assay llm up` starts. Imports nothing heavy, so that settings can nest them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class VLLMConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    python: str = ""
    """The interpreter that has vLLM; empty to look in this environment, then in `.venv-vllm` (made by `make vllm`)."""
    host: str = "127.0.0.1"
    """Where the server listens. Its routes that load adapters can read files: keep it off public networks."""
    port: int = Field(8011, ge=1, le=65535)
    """The port that the server listens on."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of weights and activations."""
    max_model_len: int = Field(0, ge=0)
    """Longest prompt and reply together, in tokens; 0 for the model's own limit."""
    max_num_seqs: int = Field(16, ge=1)
    """Requests computed at once."""
    kv_cache_gib: int = Field(1, ge=1)
    """Memory for attention keys and values on a CPU, in whole GiB."""
    max_loras: int = Field(4, ge=1)
    """Adapters used in one batch."""
    max_cpu_loras: int = Field(16, ge=1)
    """Adapters kept in memory."""
    max_lora_rank: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512] = 16
    """Largest rank of an adapter."""
    extra_args: tuple[str, ...] = ()
    """Further arguments of `vllm serve`, as they are."""
    startup_timeout_s: float = Field(600, gt=0)
    """Longest wait for the server to answer."""
    adapters_dir: str = "var/adapters"
    """Where verified copies of adapters lie, one folder per name@version, never changed. Relative to the home folder."""
    adapters_dir_at_server: str = ""
    """The same folder as the vLLM server sees it, where that is another machine; empty for the same path."""
