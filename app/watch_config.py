"""Settings of the watch: what requests leave behind, for how long, and who is told of an alarm."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class SmtpConfig(BaseModel):
    """The mail server through which alarms are sent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = ""
    """Its name; empty for no e-mail."""
    port: int = Field(587, ge=1, le=65535)
    """Its port."""
    starttls: bool = True
    """Whether to insist on an encrypted connection."""
    user: str = ""
    """The account, where it wants one."""
    password: SecretStr = SecretStr("")
    """The account's password."""
    sender: str = "assay@localhost"
    """The address that mails come from."""
    to: tuple[str, ...] = ()
    """The addresses that are told, as a JSON list."""


class WatchConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(1.0, ge=0, le=1)
    """The share of questions, drawn by chance, that leaves a row in the request log; 0 for none."""
    keeps_text: bool = True
    """Whether the question is kept, personal data replaced by its kind; without it, clusters have no words."""
    keeps_vectors: bool = True
    """Whether the question's embedding is kept (float16); without it, no drift of what is asked is seen."""
    excluded_tenants: tuple[str, ...] = ()
    """Tenants that have not consented, as a JSON list: their questions are never logged."""
    retention_days: int = Field(90, ge=1)
    """After so many days rows of the request log are deleted."""
    queue: int = Field(2000, ge=1)
    """Requests that wait to be written; more are dropped and counted, so that no answer ever waits."""
    measures_toxicity: bool = False
    """Whether answers are scored for toxicity by the adapter that ships: 5 ms of a core for each, aside."""
    webhook: SecretStr = SecretStr("")
    """The address to which alarms are posted as JSON; empty for none. It may hold a secret."""
    webhook_timeout_s: float = Field(10, gt=0)
    """Longest wait for it."""
    smtp: SmtpConfig = SmtpConfig()
    """E-mails about alarms."""
    url: str = ""
    """Where people open the dashboard, for links in alerts: https://assay.example."""
