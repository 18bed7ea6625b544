"""The only file that reads the environment: `ASSAY_PORT=9000`, and with two underscores `ASSAY_LLM__MODEL=x`."""

import os
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from app.api.config import ApiConfig
from app.screening import ScreeningConfig
from app.watch_config import WatchConfig
from data.errors import InvalidInput
from data.reading import ReadingConfig
from evals.config import EvalsConfig
from retrieval.config import IndexConfig, IngestConfig, SearchConfig
from serving.config import EncoderConfig, HeadsConfig
from serving.config_llm import LLMConfig
from serving.local.reader import ReaderConfig
from serving.rollout.config import RolloutConfig
from serving.tabular.config import TabularConfig
from serving.vllm.config import VLLMConfig

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "ASSAY_"
DATABASES = ("sqlite:///", "postgresql+psycopg://")
SILENT = {
    "ORT_DISABLE_TELEMETRY": "1",  # onnxruntime 1.32 reports to its maker and writes below ~/.cache otherwise
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAGAS_DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}
"""Set before any library is loaded, here and in our child processes: nothing of ours talks about its users."""
PLACEHOLDERS = frozenset(
    {
        "changeme",
        "change-me",
        "change_me",
        "example",
        "password",
        "placeholder",
        "replaceme",
        "secret",
        "test",
        "todo",
        "xxx",
    }
)


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    home: Path = ROOT
    """The folder that holds `var/`: database, indexes, logs, the instance key."""
    host: str = "127.0.0.1"
    """The address that `assay serve` listens on. Without any API key only loopback clients are answered."""
    port: int = Field(8000, ge=1, le=65535)
    """The port that `assay serve` listens on."""
    environment: Literal["development", "production"] = "development"
    """In production, placeholder secrets are refused."""
    database_url: SecretStr = SecretStr("")
    """`postgresql+psycopg://user:secret@host/name` or `sqlite:////folder/file.db`; empty for SQLite at `var/assay.db`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged, as JSON lines on standard error (readable lines on a terminal)."""
    otel_endpoint: str = ""
    """Where OpenTelemetry traces go (OTLP over HTTP); empty for nowhere."""
    mcp_key: SecretStr = SecretStr("")
    """The API key whose rights `assay mcp` has; empty for those of the operator who starts it."""
    encoder: EncoderConfig = EncoderConfig()
    """The embedding model."""
    heads: HeadsConfig = HeadsConfig()
    """The adapters that ship with the encoder: reader, grounding, toxicity, injection."""
    reading: ReadingConfig = ReadingConfig()
    """Limits on the files that are read."""
    ingest: IngestConfig = IngestConfig()
    """Chunking and batches."""
    index: IndexConfig = IndexConfig()
    """How the indexes follow the database."""
    search: SearchConfig = SearchConfig()
    """Candidates and fusion."""
    reader: ReaderConfig = ReaderConfig()
    """The extractive answerer."""
    screening: ScreeningConfig = ScreeningConfig()
    """What happens to questions and retrieved text that look like attacks or hold personal data."""
    llm: LLMConfig = LLMConfig()
    """The generating model; none by default: answers are extracted."""
    vllm: VLLMConfig = VLLMConfig()
    """The vLLM server that `assay llm up` starts, and where adapters lie for it."""
    rollout: RolloutConfig = RolloutConfig()
    """How releases of adapters and models reach users."""
    tabular: TabularConfig = TabularConfig()
    """How tabular models are served, and what is kept of their predictions."""
    evals: EvalsConfig = EvalsConfig()
    """Evaluations."""
    mlflow_uri: str = ""
    """MLflow's tracking and registry URI; empty for SQLite at `var/mlflow.db`."""
    watch: WatchConfig = WatchConfig()
    """The request log, and who is told of drift."""
    api: ApiConfig = ApiConfig()
    """Limits of the HTTP API."""

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not url.get_secret_value().startswith(DATABASES):
            raise ValueError(f"starts with none of {', '.join(DATABASES)}")
        return url

    @property
    def var(self) -> Path:
        return self.home / "var"

    @property
    def tabular_models(self) -> Path:
        return Path(self.tabular.models) if self.tabular.models else self.var / "tabular" / "models"

    @property
    def mlflow(self) -> str:
        return self.mlflow_uri or f"sqlite:///{self.var / 'mlflow.db'}"

    @property
    def database(self) -> str:
        return self.database_url.get_secret_value() or f"sqlite:///{self.var / 'assay.db'}"


def inherited_environment() -> dict[str, str]:
    """The environment of a child process, without our own variables."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}


def child_environment(**changes: str) -> dict[str, str]:
    """The environment of a child process that is to work like this one, but for `changes` and in a store of its own."""
    own = {f"{PREFIX}HOME", f"{PREFIX}DATABASE_URL"}
    return {name: value for name, value in os.environ.items() if name.upper() not in own} | changes


def load_settings(**overrides: object) -> Settings:
    """Read `ASSAY_*`. Raises: InvalidInput naming every wrong, unknown or placeholder variable at once."""
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)
    problems = [_unknown(name) for name in sorted(os.environ) if _is_unknown(name)]
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        told = {name.upper() for name in os.environ if _is_unknown(name)}
        problems += [_problem(e) for e in error.errors() if _name_of(e) not in told]
    except SettingsError as error:
        problems.append(f"{error}: a whole group is given as a JSON object")
    else:
        problems += _placeholders(settings)
    if problems:
        raise InvalidInput(
            "The settings are wrong: " + "; ".join(problems) + ".",
            next_step="docs/settings.md lists them all.",
        )
    return settings


def variables(model: type[BaseModel] = Settings, prefix: str = PREFIX) -> Iterator[tuple[str, type[BaseModel], str]]:
    """Every variable there is, with the model and the field that it sets; groups come before their parts."""
    for field, info in model.model_fields.items():
        name = prefix + field.upper()
        yield name, model, field
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from variables(info.annotation, name + "__")


@cache
def _known() -> tuple[str, ...]:
    return tuple(name for name, _, _ in variables())


def _is_unknown(name: str) -> bool:
    return name.upper().startswith(PREFIX) and name.upper() not in _known()


def _unknown(name: str) -> str:
    """Never its value: it may be a secret under a misspelt name."""
    close = get_close_matches(name.upper(), _known(), n=1)
    return f"{name} is not a setting" + (f" (did you mean {close[0]}?)" if close else "")


def _problem(error: ErrorDetails) -> str:
    name = _name_of(error)
    if error["type"] == "extra_forbidden":
        return _unknown(name)
    return f"{name}: {error['msg']}" + ("" if _is_secret(name) else f" (it is {error['input']!r})")


def _name_of(error: ErrorDetails) -> str:
    return PREFIX + "__".join(str(part).upper() for part in error["loc"])


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("KEY", "SECRET", "PASSWORD", "DATABASE_URL", "WEBHOOK"))


def _placeholders(settings: Settings) -> list[str]:
    """Secrets that were never chosen; in production they are as good as none."""
    if settings.environment != "production":
        return []
    secrets = {
        "ASSAY_LLM__API_KEY": settings.llm.api_key,
        "ASSAY_DATABASE_URL": settings.database_url,
        "ASSAY_MCP_KEY": settings.mcp_key,
        "ASSAY_EVALS__API_KEY": settings.evals.api_key,
        "ASSAY_WATCH__SMTP__PASSWORD": settings.watch.smtp.password,
        "ASSAY_EVALS__JUDGE__API_KEY": settings.evals.judge.api_key,
    }
    return [
        f"{name} is a placeholder (set a real secret, or ASSAY_ENVIRONMENT=development)"
        for name, secret in secrets.items()
        if _is_placeholder(secret.get_secret_value().lower())
    ]


def _is_placeholder(secret: str) -> bool:
    return secret in PLACEHOLDERS or any(f":{word}@" in secret for word in PLACEHOLDERS)
