"""The request log's near end: takes what an answer measured and lets a thread of its own write it.

`seen` never waits and never raises: what finds no room or cannot be written (disk full, database locked) is dropped and counted.
"""

import queue
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import structlog
from numpy.typing import NDArray

from app.watch_config import WatchConfig
from data.records import Receipt, Support
from data.redaction import redacted
from evals.drift.requests import VECTOR, LoggedRequest, RequestStore

log = structlog.get_logger("assay.watch")
BATCH = 64
PAUSE_S = 0.25
"""How long the writer waits for more, so that one transaction serves many answers."""
VECTORS_KEPT = 512
PURGE_EVERY_S = 3600.0
OUTCOMES = ("logged", "dropped", "failed", "skipped")
"""logged; dropped for want of room; failed to be written; skipped by sampling or for want of consent."""
Toxicity = Callable[[Sequence[str]], NDArray[np.floating]]
Embedded = tuple[str, NDArray[np.float32]]


class RequestWatch:
    """Threads share it. Its writer starts with the first request."""

    def __init__(
        self, store: RequestStore, config: WatchConfig, toxicity: Callable[[], Toxicity | None] = lambda: None
    ):
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self._store, self._config, self._toxicity = store, config, toxicity
        self._waiting: queue.Queue[tuple[Receipt, Embedded | None] | None] = queue.Queue(config.queue)
        self._vectors: OrderedDict[str, Embedded] = OrderedDict()
        self._lock = threading.Lock()
        self._chance = random.Random()
        self._writer: threading.Thread | None = None
        self._purged_at = -PURGE_EVERY_S

    def embedded(self, text: str, embedder: str, vector: NDArray[np.float32]) -> None:
        """Remember a query's vector until its answer is seen."""
        if self._config.keeps_vectors:
            with self._lock:
                self._vectors[text] = (embedder, vector)
                if len(self._vectors) > VECTORS_KEPT:
                    self._vectors.popitem(last=False)

    def seen(self, receipt: Receipt) -> None:
        """Log an answer, if chance and consent allow. Takes microseconds."""
        with self._lock:
            embedded = self._vectors.pop(receipt.search_text, None)
        if receipt.principal.tenant in self._config.excluded_tenants or self._chance.random() >= self._config.share:
            self._count("skipped")
            return
        try:
            self._waiting.put_nowait((receipt, embedded))
        except queue.Full:
            self._count("dropped")
            return
        if self._writer is None:
            self._start()

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all that waits is written; whether it was."""
        deadline = time.monotonic() + timeout_s
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self._waiting.unfinished_tasks

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, within the time, and end the writer."""
        if self._writer is not None:
            try:
                self._waiting.put(None, timeout=timeout_s)
                self._writer.join(timeout_s)
            except queue.Full:
                log.warning("watch.lost", waiting=self._waiting.qsize())

    # -- the writer's thread

    def _start(self) -> None:
        with self._lock:
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="watch", daemon=True)
                self._writer.start()

    def _write_all(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, ends = [first], False
            deadline = time.monotonic() + PAUSE_S
            while len(batch) < BATCH and not ends:
                try:
                    item = self._waiting.get(timeout=max(0.0, deadline - time.monotonic()))
                except queue.Empty:
                    break
                ends = item is None
                batch += [] if item is None else [item]
            self._write(batch)
            for _ in range(len(batch) + ends):
                self._waiting.task_done()
            if ends:
                return
        self._waiting.task_done()

    def _write(self, batch: Sequence[tuple[Receipt, Embedded | None]]) -> None:
        try:
            judged = self._judged([receipt for receipt, _ in batch])
            rows = [
                logged(receipt, embedded, self._config, toxicity)
                for (receipt, embedded), toxicity in zip(batch, judged, strict=True)
            ]
            self._store.append(rows)
            self._count("logged", len(rows))
            self._purge()
        except Exception as error:  # whatever it is, answers go on; it is counted and told
            self._count("failed", len(batch))
            log.warning("watch.failed", n=len(batch), reason=f"{type(error).__name__}: {error}"[:200])

    def _judged(self, receipts: Sequence[Receipt]) -> list[float | None]:
        judge = self._toxicity() if self._config.measures_toxicity else None
        if judge is None:
            return [None] * len(receipts)
        return [float(p) for p in judge([receipt.answer.text for receipt in receipts])]

    def _purge(self) -> None:
        if time.monotonic() - self._purged_at > PURGE_EVERY_S:
            self._purged_at = time.monotonic()
            self._store.purge(datetime.now(UTC) - timedelta(days=self._config.retention_days))

    def _count(self, outcome: str, n: int = 1) -> None:
        with self._lock:
            self.counts[outcome] += n


def logged(
    receipt: Receipt, embedded: Embedded | None, config: WatchConfig, toxicity: float | None = None
) -> LoggedRequest:
    """What of a receipt the log keeps: no name, no answer, and of the question what the settings allow."""
    answer = receipt.answer
    checked = [s.support is Support.SUPPORTED for s in answer.sentences if s.support is not Support.UNCHECKED]
    dense = [hit.stages["dense"].score for hit in receipt.hits if "dense" in hit.stages]
    embedder, vector = embedded if embedded and config.keeps_vectors else ("", None)
    return LoggedRequest(
        receipt_id=receipt.id,
        tenant=receipt.principal.tenant,
        collection=receipt.query.collection or "",
        at=receipt.created_at,
        question=redacted(receipt.search_text) if config.keeps_text else "",
        embedder=embedder,
        embedding=b"" if vector is None else vector.astype(VECTOR).tobytes(),
        scores=tuple(round(hit.score, 6) for hit in receipt.hits),
        similarity=max(dense) if dense else None,
        chunk_ids=tuple(hit.chunk_id for hit in receipt.hits),
        abstained=answer.abstained,
        support=sum(checked) / len(checked) if checked else None,
        length=len(answer.text),
        latency_ms=round(sum(answer.timings_ms.values()), 3),
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        toxicity=toxicity,
        model=answer.model,
        adapter=receipt.adapter,
    )
