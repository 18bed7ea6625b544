"""Runs the synchronous product for the asynchronous edge: bounded places, threads and times; cancellation.

A place is held until the work has really ended, so abandoned requests cannot pile up behind the limits.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from app.api.config import ApiConfig
from app.telemetry import Metrics
from data.errors import DeadlineExceeded, Overloaded

T = TypeVar("T")
R = TypeVar("R")
NOTHING_LEFT = object()


class Workers:
    """Threads and places of one application."""

    def __init__(self, config: ApiConfig, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(config.worker_threads, thread_name_prefix="assay")
        self._places = asyncio.Semaphore(config.max_concurrent)
        self._queued = 0
        self.is_closed = False
        metrics.queued.set_function(lambda: self._queued)

    async def run(self, call: Callable[..., T], *args, timeout_s: float | None = None) -> T:
        """One call on a thread, once there is a place.

        Raises: Overloaded without one, DeadlineExceeded after `timeout_s` (default `request_timeout_s`).
        """
        await self.admit()
        future = self.submit(call, *args)
        future.add_done_callback(lambda _: self.release())
        return await self.within(future, timeout_s or self._config.request_timeout_s)

    async def run_aside(self, call: Callable[..., T], *args) -> T:
        """One short call on a thread that takes no place: key look-ups, health checks."""
        return await asyncio.to_thread(call, *args)

    async def admit(self) -> None:
        """Wait for a place; `release` gives it back. Raises: Overloaded."""
        if self._places.locked():
            await self._wait_for_place()
        else:
            await self._places.acquire()  # free: returns at once
        self._metrics.working.inc()

    def release(self) -> None:
        self._places.release()
        self._metrics.working.dec()

    def submit(self, call: Callable[..., T], *args) -> "asyncio.Future[T]":
        """Start `call` on a thread with the caller's log context."""
        context = contextvars.copy_context()
        future = asyncio.get_running_loop().run_in_executor(self._threads, context.run, call, *args)
        future.add_done_callback(_retrieved)
        return future

    async def within(self, future: "asyncio.Future[T]", timeout_s: float) -> T:
        """The result of `future`, which goes on in its thread when the time is over."""
        done, _ = await asyncio.wait({future}, timeout=timeout_s)
        if not done:
            raise deadline_exceeded(timeout_s)
        return future.result()

    def close(self) -> None:
        self.is_closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _wait_for_place(self) -> None:
        if self._queued >= self._config.max_queued:
            raise self._overloaded(f"{self._config.max_queued} requests wait already")
        self._queued += 1
        try:
            async with asyncio.timeout(self._config.queue_timeout_s):
                await self._places.acquire()
        except TimeoutError:
            raise self._overloaded(f"no place came free within {self._config.queue_timeout_s:g} s") from None
        finally:
            self._queued -= 1

    def _overloaded(self, reason: str) -> Overloaded:
        self._metrics.rejected.inc()
        return Overloaded(f"The server is full: {reason}.", retry_after_s=2, next_step="Try again in a moment.")


def deadline_exceeded(timeout_s: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"The request was not finished within {timeout_s:g} s.",
        next_step="Try again, or ask something smaller.",
    )


class Steps(Generic[T]):
    """A generator advanced one step at a time on threads, which the event loop may stop at any moment.

    `begin` makes the generator; it runs on a thread with the first step. `stopped` reaches a step at work that looks at it.
    """

    def __init__(
        self, workers: Workers, begin: Callable[[], Iterator[T]], stopped: threading.Event | None = None
    ) -> None:
        self._workers = workers
        self._begin = begin
        self._iterator: Iterator[T] | None = None
        self._running: asyncio.Future[T | object] | None = None
        self._stopped = stopped or threading.Event()

    def next(self) -> "asyncio.Future[T | object]":
        """Start the next step; its result is an item, or `NOTHING_LEFT`."""
        self._running = self._workers.submit(self._step)
        return self._running

    def all(self, consume: Callable[[Iterator[T]], R]) -> "asyncio.Future[R]":
        """Run all steps at once through `consume`; `stop` takes effect between two items."""
        self._running = self._workers.submit(self._consume, consume)
        return self._running

    def stop(self, then: Callable[[], None]) -> None:
        """Close the generator as soon as no step runs, then call `then` in the event loop. Never blocks."""
        self._stopped.set()
        if self._running is None or self._running.done():
            self._close(then)
        else:
            self._running.add_done_callback(lambda _: self._close(then))

    def _step(self) -> T | object:
        if self._stopped.is_set():
            return NOTHING_LEFT
        if self._iterator is None:
            self._iterator = iter(self._begin())
        return next(self._iterator, NOTHING_LEFT)

    def _consume(self, consume: Callable[[Iterator[T]], R]) -> R:
        return consume(iter(self._step, NOTHING_LEFT))

    def _close(self, then: Callable[[], None]) -> None:
        close = getattr(self._iterator, "close", None)
        if close is None or self._workers.is_closed:
            then()
        else:
            self._workers.submit(close).add_done_callback(lambda _: then())


async def until_disconnect(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client goes away. Raises: ClientDisconnect."""
    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        watching.cancel()
        if not working.done():
            working.cancel()
            await asyncio.wait({working})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _retrieved(future: asyncio.Future) -> None:
    """Nobody may wait any more for an abandoned call; its error is not a second one."""
    if not future.cancelled():
        future.exception()
