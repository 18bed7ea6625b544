"""The only file that reads the environment: `ASSAY_PORT=9000`, and with two underscores `ASSAY_LLM__MODEL=x`."""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.api.config import ApiConfig
from app.screening import ScreeningConfig
from data.errors import InvalidInput
from data.reading import ReadingConfig
from retrieval.config import IndexConfig, IngestConfig, SearchConfig
from serving.config import EncoderConfig
from serving.config_llm import LLMConfig
from serving.local.reader import ReaderConfig

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "ASSAY_"
PLACEHOLDERS = {"changeme", "change-me", "secret", "password", "test", "xxx"}


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
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
    """Any SQLAlchemy URL; empty for SQLite at `var/assay.db`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged, as JSON lines on standard error (readable lines on a terminal)."""
    otel_endpoint: str = ""
    """Where OpenTelemetry traces go (OTLP over HTTP); empty for nowhere."""
    encoder: EncoderConfig = EncoderConfig()
    """The embedding model."""
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
    api: ApiConfig = ApiConfig()
    """Limits of the HTTP API."""

    @property
    def var(self) -> Path:
        return self.home / "var"

    @property
    def database(self) -> str:
        return self.database_url.get_secret_value() or f"sqlite:///{self.var / 'assay.db'}"


def load_settings(**overrides: object) -> Settings:
    """Read `ASSAY_*`. Raises: InvalidInput naming every wrong or unknown variable at once."""
    problems = _unknown_variables()
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems += [_problem(e) for e in error.errors()]
    if problems:
        raise InvalidInput(
            "The settings are wrong: " + "; ".join(problems) + ".",
            next_step="docs/settings.md lists them all.",
        )
    if settings.environment == "production":
        _refuse_placeholders(settings)
    return settings


def _unknown_variables() -> list[str]:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    out = []
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper().split("__")[0] not in known:
            close = get_close_matches(name.upper().split("__")[0], known, n=1)
            out.append(f"{name} is not a setting" + (f" (did you mean {close[0]}?)" if close else ""))
    return out


def _problem(error: dict) -> str:
    name = PREFIX + "__".join(str(part).upper() for part in error["loc"])
    return f"{name}: {error['msg']} (it is {error['input']!r})" if not _is_secret(name) else f"{name}: {error['msg']}"


def _is_secret(name: str) -> bool:
    return any(word in name for word in ("KEY", "SECRET", "PASSWORD", "DATABASE_URL"))


def _refuse_placeholders(settings: Settings) -> None:
    secrets = {"ASSAY_LLM__API_KEY": settings.llm.api_key, "ASSAY_DATABASE_URL": settings.database_url}
    for name, secret in secrets.items():
        value = secret.get_secret_value().lower() if secret else ""
        if value in PLACEHOLDERS or any(f":{p}@" in value for p in PLACEHOLDERS):
            raise InvalidInput(
                f"{name} is a placeholder.", next_step="Set a real secret, or ASSAY_ENVIRONMENT=development."
            )
