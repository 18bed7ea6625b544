"""Reads an asynchronous stream from synchronous code, so that it can be broken off while nothing comes.

A blocking read of a socket ends when the other side says so; a task is cancelled at any moment, and closes its connection.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")
LOOK_S = 0.1
"""How often a reader that waits looks whether it should stop."""
CLOSED_WITHIN_S = 2.0
"""Longest wait for a connection to close."""
_STARTING = threading.Lock()
_loops: list[asyncio.AbstractEventLoop] = []


def until_stopped(begin: Callable[[], AsyncIterator[T]], stopped: threading.Event) -> Iterator[T]:
    """The items of a stream, read in the background. Raises what the stream raises.

    Ends early, and quietly, within a tenth of a second of `stopped`. However it ends, the stream is closed then.
    """
    came: queue.SimpleQueue[tuple[T] | Exception | None] = queue.SimpleQueue()
    reading = _Reading(lambda: _pump(begin, came))
    try:
        while not stopped.is_set():
            try:
                item = came.get(timeout=LOOK_S)
            except queue.Empty:
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item[0]
    finally:
        reading.cancel()


async def _pump(begin: Callable[[], AsyncIterator[T]], came: "queue.SimpleQueue[tuple[T] | Exception | None]") -> None:
    try:
        async with aclosing(begin()) as stream:
            async for item in stream:
                came.put((item,))
    except Exception as error:
        came.put(error)
    else:
        came.put(None)


class _Reading:
    """A task of the background loop."""

    def __init__(self, work: Callable) -> None:
        self._loop = _loop()
        self._work = work
        self._ended = threading.Event()
        self._loop.call_soon_threadsafe(self._start)

    def cancel(self) -> None:
        """Cancel the task if it still runs, and wait until it has closed what it held."""
        if not self._ended.is_set():
            self._loop.call_soon_threadsafe(lambda: self._task.cancel())
            self._ended.wait(CLOSED_WITHIN_S)

    def _start(self) -> None:
        self._task = self._loop.create_task(self._work())
        self._task.add_done_callback(lambda _: self._ended.set())


def _loop() -> asyncio.AbstractEventLoop:
    """One event loop for all streams, in a thread that ends with the process."""
    with _STARTING:
        if not _loops:
            _loops.append(asyncio.new_event_loop())
            threading.Thread(target=_loops[0].run_forever, name="streams", daemon=True).start()
        return _loops[0]
