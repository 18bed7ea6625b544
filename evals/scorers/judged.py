"""ragas' metrics by a judging chat model: faithfulness, relevancy, precision and recall of the context. Imports ragas.

A time-out, a reply that cannot be read and a server that fails are errors of that metric of that answer; a NaN is one too.
"""

import asyncio
import logging
import math
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import instructor
import numpy as np
import ragas
from instructor.core.exceptions import IncompleteOutputException
from openai import APIConnectionError, APIError, APITimeoutError, AsyncOpenAI
from ragas.embeddings.base import BaseRagasEmbedding
from ragas.llms.base import InstructorBaseRagasLLM
from ragas.metrics.collections import AnswerRelevancy, ContextPrecision, ContextRecall, Faithfulness

from data.records import Observation, Sample, Score
from evals.config import JudgeConfig
from evals.scoring import Metric

logging.getLogger("instructor").setLevel(
    logging.CRITICAL
)  # logs whole prompts, documents in them; errors are in the rows
Embed = Callable[[Sequence[str]], np.ndarray]
LONGEST_TOLD = 300


class JudgedScorer:
    """One thread with an event loop serves all callers; `close` ends it. Cheap to build: nothing is sent before the first score."""

    def __init__(self, config: JudgeConfig, embed: Embed | None = None) -> None:
        self._config = config
        self._client = AsyncOpenAI(
            base_url=config.url,
            api_key=config.api_key.get_secret_value() or "none",
            timeout=config.timeout_s,
            max_retries=1,
        )
        llm = _Judge(self._client, config, self._running)
        self._faithfulness = Faithfulness(llm=llm)
        self._relevancy = AnswerRelevancy(llm=llm, embeddings=_Embedding(embed)) if embed else None
        self._precision, self._recall = ContextPrecision(llm=llm), ContextRecall(llm=llm)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slots = asyncio.Semaphore(config.concurrency)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        names = ["judged_faithfulness", "judged_context_precision", "judged_context_recall"]
        self.metrics = tuple(Metric(name) for name in (*names, *(["judged_relevancy"] if embed else [])))
        self.id = f"judged@1(ragas {ragas.__version__},{config.model},{config.url})"

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        """Waits for the judge; several threads may wait at a time."""
        asked = self._questions(sample, observation)
        return asyncio.run_coroutine_threadsafe(self._ask(asked), self._running()).result() if asked else []

    def close(self) -> None:
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._client.close(), self._loop).result(5)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            self._loop.close()
            self._loop = None

    def _questions(self, sample: Sample, seen: Observation) -> dict[str, Callable[[], Awaitable[Any]]]:
        """What applies: answers are judged where there is one, contexts where the right answer is known."""
        contexts = [hit.chunk.text for hit in seen.hits]
        out: dict[str, Callable[[], Awaitable[Any]]] = {}
        if seen.answer is not None and not seen.answer.abstained and seen.answer.text.strip():
            said = {"user_input": sample.question, "response": seen.answer.text}
            if contexts:
                out["judged_faithfulness"] = lambda: self._faithfulness.ascore(**said, retrieved_contexts=contexts)
            if self._relevancy is not None:
                out["judged_relevancy"] = lambda: self._relevancy.ascore(**said)
        if contexts and sample.answer and sample.answerable:
            known = {"user_input": sample.question, "reference": sample.answer, "retrieved_contexts": contexts}
            out["judged_context_precision"] = lambda: self._precision.ascore(**known)
            out["judged_context_recall"] = lambda: self._recall.ascore(**known)
        return out

    async def _ask(self, asked: dict[str, Callable[[], Awaitable[Any]]]) -> list[Score]:
        return list(await asyncio.gather(*(self._one(name, ask) for name, ask in asked.items())))

    async def _one(self, name: str, ask: Callable[[], Awaitable[Any]]) -> Score:
        async with self._slots:
            try:
                result = await asyncio.wait_for(ask(), self._config.timeout_s)
                value = float(result.value)
            except Exception as error:
                return Score(scorer=name, value=None, error=self._told(error))
        if not math.isfinite(value):
            return Score(scorer=name, value=None, error="the judge found nothing to judge: its value is no number")
        return Score(scorer=name, value=min(1.0, max(0.0, value)))

    def _told(self, error: Exception) -> str:
        """instructor wraps what went wrong in a retry of a retry: all of the chain is looked at."""
        chain = list(_chain(error))
        if any(isinstance(e, TimeoutError | APITimeoutError) for e in chain):
            return f"the judge took longer than {self._config.timeout_s:g} s"
        if any(isinstance(e, APIConnectionError) for e in chain):
            return f"the judge at {self._config.url} cannot be reached"
        if refused := next((e for e in chain if isinstance(e, APIError)), None):
            return self._without_key(f"the judge refused: {refused}")
        if any(isinstance(e, IncompleteOutputException) for e in chain):
            return f"the judge's reply was cut after {self._config.max_tokens} tokens: allow more (ASSAY_EVALS__JUDGE__MAX_TOKENS)"
        if any(
            isinstance(e, ValueError | TypeError | KeyError) for e in chain
        ):  # pydantic's and json's are ValueErrors
            return self._without_key(f"the judge's reply cannot be read: {chain[-1]}")
        return self._without_key(f"judging failed: {type(error).__name__}: {error}")

    def _without_key(self, text: str) -> str:
        key = self._config.api_key.get_secret_value()
        return " ".join((text.replace(key, "***") if key else text).split())[:LONGEST_TOLD]

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="judge", daemon=True)
                self._thread.start()
        return self._loop


class _Judge(InstructorBaseRagasLLM):
    """What ragas asks. Its own class for this counts uses, and for that writes a file below the user's home."""

    def __init__(
        self, client: AsyncOpenAI, config: JudgeConfig, running: Callable[[], asyncio.AbstractEventLoop]
    ) -> None:
        self._running = running
        mode = instructor.Mode.JSON_SCHEMA if config.bound else instructor.Mode.JSON
        self._client = instructor.from_openai(client, mode=mode)
        self._decode = {"model": config.model, "temperature": 0.0, "max_tokens": config.max_tokens}

    async def agenerate(self, prompt: str, response_model: type) -> Any:
        return await self._client.chat.completions.create(
            messages=[{"role": "user", "content": prompt}],
            response_model=response_model,
            max_retries=1,  # a reply that cannot be read is asked for once more
            **self._decode,
        )

    def generate(self, prompt: str, response_model: type) -> Any:
        """For callers without an event loop of their own; our metrics ask with `agenerate`."""
        return asyncio.run_coroutine_threadsafe(self.agenerate(prompt, response_model), self._running()).result()


class _Embedding(BaseRagasEmbedding):
    """Our encoder as ragas wants it."""

    def __init__(self, embed: Embed) -> None:
        super().__init__()
        self._embed = embed

    def embed_text(self, text: str, **_: Any) -> list[float]:
        return [float(x) for x in self._embed([text])[0]]

    async def aembed_text(self, text: str, **_: Any) -> list[float]:
        return await asyncio.to_thread(self.embed_text, text)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what it came from, and what instructor's attempts failed with."""
    seen: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop(0)
        if one in seen:
            continue
        seen.append(one)
        attempts = [getattr(attempt, "exception", None) for attempt in getattr(one, "failed_attempts", None) or ()]
        waiting += [e for e in (one.__cause__, *attempts) if isinstance(e, BaseException)]
    yield from seen
