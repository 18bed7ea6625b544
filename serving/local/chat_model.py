"""A local Hugging Face decoder as a LangChain chat model: one request at a time, streamed token by token."""

import threading
from collections.abc import Iterator
from typing import Any

import torch
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer

from serving.config_llm import LLMConfig

ROLES = {"system": "system", "human": "user", "ai": "assistant"}


class LocalChatModel(BaseChatModel):
    model: Any
    tokenizer: Any
    config_: LLMConfig
    lock: Any

    @staticmethod
    def load(config: LLMConfig) -> "LocalChatModel":
        device = config.device if config.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        tokenizer = AutoTokenizer.from_pretrained(config.model)
        model = AutoModelForCausalLM.from_pretrained(config.model, dtype="auto").to(device).eval()
        return LocalChatModel(model=model, tokenizer=tokenizer, config_=config, lock=threading.Lock())

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
            streamer = TextIteratorStreamer(self.tokenizer, skip_prompt=True, skip_special_tokens=True)
            sampled = (
                {"do_sample": True, "temperature": self.config_.temperature}
                if self.config_.temperature
                else {"do_sample": False}
            )
            torch.manual_seed(self.config_.seed)
            options = {**given, **sampled, "streamer": streamer, "max_new_tokens": self.config_.max_tokens}
            thread = threading.Thread(target=self.model.generate, kwargs=options, daemon=True)
            thread.start()
            for text in streamer:
                yield ChatGenerationChunk(message=AIMessageChunk(text))
            thread.join()
