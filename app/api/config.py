"""Limits and times of the HTTP API."""

from pydantic import BaseModel, ConfigDict, Field


class ApiConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    allowed_hosts: tuple[str, ...] = ()
    """Host names (without port) answered besides localhost, 127.0.0.1 and [::1] while no API key exists."""
    max_body_bytes: int = Field(1 << 20, ge=1024)
    """Largest request body, uploads apart."""
    max_upload_bytes: int = Field(64 << 20, ge=1024)
    """Largest body of `POST /v1/documents`, all files together."""
    max_upload_files: int = Field(32, ge=1)
    """Most files in one upload."""
    max_question_chars: int = Field(4000, ge=1)
    """Longest question or search text."""
    max_history_messages: int = Field(64, ge=0)
    """Most earlier messages of a stateless conversation."""
    max_k: int = Field(100, ge=1, le=1000)
    """Most hits of one search or answer."""
    max_texts: int = Field(256, ge=1)
    """Most texts in one embeddings or rerank request."""
    max_text_chars: int = Field(32_000, ge=1)
    """Longest single text in an embeddings or rerank request."""
    max_page: int = Field(200, ge=1)
    """Most documents on one page of a listing."""
    max_concurrent: int = Field(256, ge=1)
    """Requests worked on at once: an open answer stream counts as one until it ends."""
    max_queued: int = Field(256, ge=0)
    """Requests that wait for a place; the next one gets 429."""
    queue_timeout_s: float = Field(30, gt=0)
    """Longest wait for a place, then 429."""
    worker_threads: int = Field(32, ge=1)
    """Threads that search and answer. Raise it when a remote model leaves them waiting."""
    request_timeout_s: float = Field(60, gt=0)
    """Longest search, upload or other single call, then 503."""
    answer_timeout_s: float = Field(120, gt=0)
    """Longest answer, streamed or not; then 503, or an error event in a stream that has begun."""
    body_timeout_s: float = Field(30, gt=0)
    """Longest silence while a request body is being sent, then 408."""
    heartbeat_s: float = Field(10, gt=0)
    """Silence in a stream after which a comment line is sent, so that proxies keep it open."""
    shutdown_grace_s: int = Field(30, ge=0)
    """Seconds that open streams get to finish when the server is told to stop."""
    key_refresh_s: float = Field(5, ge=0)
    """Age at which the keys held in memory are read again: a revoked key stops working within this time."""
    session_cookie_secure: bool = False
    """Send the page's session cookie over HTTPS only. Turn it on behind TLS."""
