"""A circuit breaker (Nygard, Release It!, ch. 5): after failures in a row, stop asking for a while."""

import threading
import time
from collections.abc import Callable
from enum import StrEnum


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class CircuitBreaker:
    """`allows()` before a call, then one of `succeeded()`, `failed()`, `abandoned()`. Half-open lets one call through as a trial."""

    def __init__(self, failures: int, rest_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._rest_s = rest_s
        self._now = now
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._trying = False

    @property
    def state(self) -> BreakerState:
        if self._opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.HALF_OPEN if self._now() - self._opened_at >= self._rest_s else BreakerState.OPEN

    def allows(self) -> bool:
        with self._lock:
            if self.state is BreakerState.HALF_OPEN and not self._trying:
                self._trying = True
                return True
            return self.state is BreakerState.CLOSED

    def succeeded(self) -> None:
        with self._lock:
            self._failures, self._opened_at, self._trying = 0, None, False

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            if self._trying or self._failures >= self._limit:
                self._opened_at, self._trying = self._now(), False

    def abandoned(self) -> None:
        """The caller left before the outcome was known: it counts as neither, and the next call may be the trial."""
        with self._lock:
            self._trying = False
