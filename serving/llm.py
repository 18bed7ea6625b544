"""A generating model behind LangChain's chat interface: any OpenAI-compatible URL, or a local Hugging Face model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, HumanMessage, SystemMessage

from data.errors import MissingExtra, ModelUnavailable
from data.records import Usage
from serving.breaker import CircuitBreaker
from serving.config_llm import LLMConfig

ROLES = {"system": SystemMessage, "user": HumanMessage}


@dataclass
class Reply:
    """What a streamed reply cost; complete when the stream has ended."""

    usage: Usage = field(default_factory=Usage)


class Generator:
    """Streams text, counts tokens, and stops asking a model that keeps failing."""

    def __init__(self, model: BaseChatModel, config: LLMConfig) -> None:
        self.name = config.model
        self.breaker = CircuitBreaker(config.breaker_failures, config.breaker_rest_s)
        self.decode = {"temperature": config.temperature, "max_tokens": config.max_tokens, "seed": config.seed}
        self._model = model

    def stream(self, messages: Sequence[tuple[str, str]], reply: Reply) -> Iterator[str]:
        """Yield text as it comes. Raises: ModelUnavailable, also when the breaker is open."""
        if not self.breaker.allows():
            raise ModelUnavailable(f"The model {self.name} failed repeatedly and is left alone for a while.")
        asked: list[BaseMessage] = [ROLES[role](text) for role, text in messages]
        try:
            for chunk in self._model.stream(asked):
                reply.usage = _used(reply.usage, chunk)
                if text := _text(chunk):
                    yield text
        except GeneratorExit:
            self.breaker.succeeded()
            raise
        except Exception as error:
            self.breaker.failed()
            raise ModelUnavailable(
                f"The model {self.name} failed: {type(error).__name__}: {str(error)[:200]}.",
                next_step="Check that its server runs and that ASSAY_LLM__BASE_URL and ASSAY_LLM__MODEL are right.",
            ) from error
        self.breaker.succeeded()

    def complete(self, messages: Sequence[tuple[str, str]]) -> str:
        return "".join(self.stream(messages, Reply())).strip()


def build_generator(config: LLMConfig) -> Generator:
    """Raises: MissingExtra when a local model is asked for and transformers is not installed."""
    return Generator(_over_http(config) if config.base_url else _in_process(config), config)


def _over_http(config: LLMConfig) -> BaseChatModel:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        model=config.model,
        base_url=config.base_url,
        api_key=config.api_key.get_secret_value() or "none",
        timeout=config.timeout_s,
        max_tokens=config.max_tokens,
        temperature=config.temperature,
        seed=config.seed,
        stream_usage=True,
        max_retries=1,
    )


def _in_process(config: LLMConfig) -> BaseChatModel:
    try:
        from serving.local.chat_model import LocalChatModel
    except ImportError as error:
        raise MissingExtra("transformers", extra="finetune") from error
    return LocalChatModel.load(config)


def _text(chunk: BaseMessage) -> str:
    return chunk.content if isinstance(chunk.content, str) else "".join(p.get("text", "") for p in chunk.content)


def _used(before: Usage, chunk: BaseMessage) -> Usage:
    found = chunk.usage_metadata if isinstance(chunk, AIMessageChunk) else None
    if not found:
        return before
    return Usage(prompt_tokens=found["input_tokens"], completion_tokens=found["output_tokens"])
