"""Keeps a sample of predictions in the background: a request never waits for it and never fails because of it."""

import hashlib
import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from serving.tabular.config import TabularConfig
from serving.tabular.prediction_store import KeptPrediction, PredictionStore

log = structlog.get_logger("assay.tabular")
PRUNE_EVERY_S = 3600.0


class PredictionLog:
    """Cheap to build; its thread starts with the first prediction."""

    def __init__(self, store: PredictionStore, config: TabularConfig = TabularConfig()) -> None:
        self.store = store
        self.n_lost = 0
        """Predictions of the sample that were not kept: no room, or the database failed."""
        self._config = config
        self._waiting: deque[KeptPrediction] = deque()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._writing = threading.Lock()

    def wants(self, request_id: str) -> bool:
        """Whether a request is of the sample: by a hash of its id, so that all processes agree."""
        drawn = int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8).digest(), "big") / 2**64
        return drawn < self._config.log_share

    def keep(self, kept: Sequence[KeptPrediction]) -> None:
        """Returns at once."""
        if len(self._waiting) + len(kept) > self._config.log_queue:
            self.n_lost += len(kept)
            return
        self._waiting.extend(kept)
        if self._thread is None:
            self._begin()

    def flush(self) -> None:
        """Write what waits. Never raises."""
        with self._writing:
            found = [self._waiting.popleft() for _ in range(len(self._waiting))]
            try:
                self.store.add(found)
            except Exception as error:
                self.n_lost += len(found)
                log.warning("tabular.predictions_not_kept", n=len(found), error=type(error).__name__)

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)
        self.flush()

    def _begin(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        since_pruned = PRUNE_EVERY_S
        while not self._stop.wait(self._config.log_flush_s):
            self.flush()
            since_pruned += self._config.log_flush_s
            if since_pruned >= PRUNE_EVERY_S:
                since_pruned = 0.0
                self._prune()

    def _prune(self) -> None:
        try:
            self.store.prune(datetime.now(UTC) - timedelta(days=self._config.keep_days))
        except Exception as error:
            log.warning("tabular.predictions_not_pruned", error=type(error).__name__)
