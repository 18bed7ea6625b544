"""Asks a running vLLM server what OpenAI's API does not offer: what is loaded, and adapters at run time.

Answers for people go through `serving.llm`; this is for operating a server.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from data.errors import InvalidInput, ModelUnavailable, Unauthenticated

QUICK_S = 5.0
LOADING_S = 120.0


@dataclass(frozen=True)
class LoadedModel:
    """`parent` is empty for the base; `root` is the folder that the server read."""

    id: str
    parent: str
    root: str


class VLLMClient:
    """`base_url` with or without a trailing /v1. Cheap to build; call `close()` at the end."""

    def __init__(self, base_url: str, api_key: str = "") -> None:
        self.base_url = base_url.rstrip("/").removesuffix("/v1")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(base_url=self.base_url, headers=headers, timeout=LOADING_S, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def is_healthy(self) -> bool:
        try:
            return self._http.get("/health", timeout=QUICK_S).status_code == 200
        except httpx.HTTPError:
            return False

    def models(self) -> list[LoadedModel]:
        """The base and every loaded adapter."""
        data = self.ask("GET", "/v1/models")["data"]
        return [LoadedModel(m["id"], m.get("parent") or "", m.get("root") or "") for m in data]

    def load_adapter(self, name: str, path: str) -> None:
        """Load a folder under a name that was never used before; never in place (the old prefix cache would answer).

        Raises: InvalidInput when the server refuses the folder or knows the name.
        """
        self.ask("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})

    def unload_adapter(self, name: str) -> None:
        self.ask("POST", "/v1/unload_lora_adapter", {"lora_name": name})

    def chat(self, model: str, messages: Sequence[dict[str, str]], max_tokens: int = 64) -> str:
        """One greedy reply."""
        body = {"model": model, "messages": list(messages), "max_tokens": max_tokens, "temperature": 0}
        return self.ask("POST", "/v1/chat/completions", body)["choices"][0]["message"]["content"] or ""

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One call. Raises: ModelUnavailable, Unauthenticated, InvalidInput with what the server said."""
        try:
            response = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ModelUnavailable(
                f"vLLM at {self.base_url} did not answer: {type(error).__name__}.",
                next_step="Start one with: assay llm up --model DIR, or set ASSAY_LLM__BASE_URL to a running one.",
            ) from error
        if response.status_code == 401:
            raise Unauthenticated(
                f"vLLM at {self.base_url} refuses the key.", next_step="Set ASSAY_LLM__API_KEY to the server's key."
            )
        if response.status_code >= 400:
            raise InvalidInput(
                f"vLLM refused {method} {path} with {response.status_code}: {_reason(response)}",
                next_step=_next_step(path, response.status_code),
            )
        return response.json() if "json" in response.headers.get("content-type", "") else response.text


def _reason(response: httpx.Response) -> str:
    try:
        body = response.json()
        error = body.get("error", body)
        return str(error.get("message", error) if isinstance(error, dict) else error)[:400]
    except ValueError:
        return response.text[:400]


def _next_step(path: str, status: int) -> str:
    if "lora" in path and status == 404:
        return (
            "Does the server see that folder? Was it started with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=1?"
        )
    if "load_lora" in path and status >= 500:  # how vLLM says that it cannot serve this kind of adapter
        return "vLLM serves plain LoRA: rank within --max-lora-rank, no DoRA, no bias, no modules_to_save."
    return ""
