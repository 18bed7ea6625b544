"""A local Hugging Face decoder as a LangChain chat model: one request at a time, streamed token by token."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from transformers import AutoModelForCausalLM, AutoTokenizer, StoppingCriteria, TextIteratorStreamer

from data.errors import InvalidInput
from serving.config_llm import LLMConfig

ROLES = {"system": "system", "human": "user", "ai": "assistant"}


class LocalChatModel(BaseChatModel):
    model: Any
    tokenizer: Any
    settings: LLMConfig
    lock: Any
    digest: str = ""
    """Of the weights, when they lie in a folder."""

    @staticmethod
    def load(config: LLMConfig) -> "LocalChatModel":
        """Raises: InvalidInput when there is no such model here, or it has no chat template."""
        device = config.device if config.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        try:
            tokenizer = AutoTokenizer.from_pretrained(config.model)
            model = AutoModelForCausalLM.from_pretrained(config.model, dtype="auto").to(device).eval()
        except (OSError, ValueError) as error:
            raise InvalidInput(
                f"{config.model!r} cannot be loaded as a language model: {str(error).splitlines()[0]}",
                field="llm.model",
                next_step="Set ASSAY_LLM__MODEL to a model's folder or cached id, or ASSAY_LLM__BASE_URL to its server.",
            ) from error
        if not tokenizer.chat_template:
            raise InvalidInput(
                f"{config.model!r} has no chat template: it is a base model, not one for conversations.",
                field="llm.model",
                next_step="Use its instruction-tuned sibling, or save a chat template with its tokenizer.",
            )
        digest = _digest(Path(config.model))
        return LocalChatModel(model=model, tokenizer=tokenizer, settings=config, lock=threading.Lock(), digest=digest)

    @property
    def _llm_type(self) -> str:
        return "local-transformers"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        text = "".join(chunk.text for chunk in self._stream(messages, stop, run_manager))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> Iterator[ChatGenerationChunk]:
        turns = [{"role": ROLES[m.type], "content": m.content} for m in messages]
        with self.lock:
            given = self.tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
            ).to(self.model.device)
            run = _Run(self, given)
            try:
                for text in run.streamer:
                    if text:
                        yield ChatGenerationChunk(message=AIMessageChunk(text))
            finally:
                run.stop()
            yield ChatGenerationChunk(message=AIMessageChunk("", usage_metadata=run.usage()))


class _Run(StoppingCriteria):
    """One generation in its own thread: its text comes through `streamer`, `stop()` ends it after the next token."""

    def __init__(self, chat: LocalChatModel, given: Any) -> None:
        self.streamer = TextIteratorStreamer(chat.tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._n_prompt = given["input_ids"].shape[1]
        self._n_total = self._n_prompt
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._generate, args=(chat, given), daemon=True)
        self._thread.start()

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: Any) -> torch.BoolTensor:
        return torch.full((input_ids.shape[0],), self._stopped.is_set(), device=input_ids.device, dtype=torch.bool)

    def stop(self) -> None:
        """Raises: whatever the generation failed with."""
        self._stopped.set()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def usage(self) -> UsageMetadata:
        n_said = self._n_total - self._n_prompt
        return UsageMetadata(input_tokens=self._n_prompt, output_tokens=n_said, total_tokens=self._n_total)

    def _generate(self, chat: LocalChatModel, given: Any) -> None:
        settings = chat.settings
        sampling = (
            {"do_sample": True, "temperature": settings.temperature} if settings.temperature else {"do_sample": False}
        )
        try:
            torch.manual_seed(settings.seed)
            out = chat.model.generate(
                **given,
                **sampling,
                streamer=self.streamer,
                max_new_tokens=settings.max_tokens,
                stopping_criteria=[self],
            )
            self._n_total = out.shape[1]
        except Exception as error:  # handed to the reader of the stream, which would wait for ever otherwise
            self._error = error
            self.streamer.end()


def _digest(folder: Path) -> str:
    """sha256 over names and bytes of the weight files; empty for an id instead of a folder."""
    out = hashlib.sha256()
    weights = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    for path in weights:
        with path.open("rb") as file:
            out.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return out.hexdigest() if weights else ""
