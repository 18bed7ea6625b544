"""A generating model behind LangChain's chat interface: any OpenAI-compatible URL, or a local Hugging Face model."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache

import httpx
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage

from data.errors import MissingExtra, ModelUnavailable
from data.records import Usage
from serving.breaker import CircuitBreaker
from serving.config_llm import LLMConfig
from serving.interruptible import until_stopped

CONNECT_S = 5.0
ROLES = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}


@dataclass
class Reply:
    """What a streamed reply cost; complete when the stream has ended."""

    usage: Usage = field(default_factory=Usage)


class Generator:
    """Streams text, counts tokens, and stops asking a model that keeps failing."""

    def __init__(self, model: BaseChatModel, config: LLMConfig, now: Callable[[], float] = time.monotonic) -> None:
        self.name = config.model
        self.digest = getattr(model, "digest", "")
        self.breaker = CircuitBreaker(config.breaker_failures, config.breaker_rest_s, now)
        self.decode = {"temperature": config.temperature, "max_tokens": config.max_tokens, "seed": config.seed}
        self._model = model
        self._config = config
        self._now = now

    def stream(
        self, messages: Sequence[tuple[str, str]], reply: Reply, stopped: threading.Event | None = None
    ) -> Iterator[str]:
        """Yield text as it comes. Raises: ModelUnavailable, at once while it rests.

        Closing the iterator stops the model; so does another thread that sets `stopped`, even while a server says nothing.
        """
        stopped = stopped or threading.Event()
        if not self.breaker.allows():
            raise ModelUnavailable(f"The model {self.name} failed repeatedly and is left alone for a while.")
        try:
            yield from self._pieces(messages, reply, stopped)
        except GeneratorExit:
            self.breaker.abandoned()
            raise
        except Exception as error:
            self.breaker.failed()
            raise ModelUnavailable(
                f"The model {self.name} failed: {type(error).__name__}: {self._told(error)}.",
                next_step="Check that its server runs and that ASSAY_LLM__BASE_URL, __MODEL and __API_KEY are right.",
            ) from error
        if stopped.is_set():
            self.breaker.abandoned()
        else:
            self.breaker.succeeded()

    def complete(self, messages: Sequence[tuple[str, str]], stopped: threading.Event | None = None) -> str:
        return "".join(self.stream(messages, Reply(), stopped)).strip()

    def _pieces(self, messages: Sequence[tuple[str, str]], reply: Reply, stopped: threading.Event) -> Iterator[str]:
        deadline = self._now() + self._config.timeout_s
        asked = [ROLES[role](text) for role, text in messages]
        with closing(self._chunks(asked, stopped)) as chunks:
            for chunk in chunks:
                reply.usage = _used(reply.usage, chunk)
                if chunk.text:
                    yield str(chunk.text)
                if self._now() > deadline:
                    raise TimeoutError(f"the reply took longer than {self._config.timeout_s:g} s")

    def _chunks(self, asked: list[BaseMessage], stopped: threading.Event) -> Iterator[BaseMessage]:
        if self._config.base_url:  # a server may say nothing for as long as it likes
            return until_stopped(lambda: self._model.astream(asked), stopped)
        return self._model.stream(asked)

    def _told(self, error: Exception) -> str:
        """The error's words, without the key that some servers repeat."""
        key = self._config.api_key.get_secret_value()
        return (str(error).replace(key, "***") if key else str(error))[:200].rstrip(".")


def build_generator(config: LLMConfig, now: Callable[[], float] = time.monotonic) -> Generator:
    """Raises: MissingExtra when a local model is asked for and transformers is not installed; InvalidInput for a wrong one."""
    return Generator(_over_http(config) if config.base_url else _in_process(config), config, now)


def _over_http(config: LLMConfig) -> BaseChatModel:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model=config.model,
        base_url=config.base_url,
        api_key=config.api_key.get_secret_value() or "none",
        timeout=httpx.Timeout(config.timeout_s, connect=min(CONNECT_S, config.timeout_s)),
        max_tokens=config.max_tokens,
        temperature=config.temperature,
        seed=config.seed,
        stream_usage=True,
        http_client=httpx.Client(verify=_certificates(), follow_redirects=True),
        # a connection an answer: what is kept alive would be closed by an event loop that may be busy elsewhere by then
        http_async_client=httpx.AsyncClient(
            verify=_certificates(), limits=httpx.Limits(max_keepalive_connections=0), follow_redirects=True
        ),
        max_retries=0,  # the extractive answer stands in at once; asking twice would double the wait
    )


@cache
def _certificates() -> ssl.SSLContext:
    """Read once: reading them costs 30 ms, a client."""
    return httpx.create_ssl_context()


def _in_process(config: LLMConfig) -> BaseChatModel:
    try:
        from serving.local.chat_model import LocalChatModel
    except ImportError as error:
        raise MissingExtra(error.name or "transformers", extra="finetune") from error
    return LocalChatModel.load(config)


def _used(before: Usage, chunk: BaseMessage) -> Usage:
    found = chunk.usage_metadata if isinstance(chunk, AIMessageChunk) else None
    if not found:
        return before
    return Usage(prompt_tokens=found["input_tokens"], completion_tokens=found["output_tokens"])
