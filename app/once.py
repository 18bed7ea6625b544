"""A part of the product that is built when it is first needed, once, by whichever thread comes first."""

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class Once(Generic[T]):
    """Call it to have the value. What failed to build is tried again at the next call."""

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._value: T | None = None
        self._lock = threading.Lock()

    @property
    def value(self) -> T | None:
        """What was built; None before."""
        return self._value

    def __call__(self) -> T:
        with self._lock:
            if self._value is None:
                self._value = self._build()
            return self._value

    def close(self) -> None:
        if self._value is not None:
            self._value.close()
