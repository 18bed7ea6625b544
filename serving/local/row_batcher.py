"""Puts rows of many callers into batches that a few workers run. Knows no model: it takes a function over rows.

No time is spent waiting for company: a free worker takes what is there, so rows of different callers meet where workers are busy.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from data.errors import InfrastructureError


class Row(Protocol):
    """Has a length, in tokens."""

    def __len__(self) -> int: ...


Key = Callable[[Any], Hashable]
"""What rows must have in common to share a batch."""
Waiting = tuple[Row, "Future[Any]"]


@dataclass(frozen=True)
class BatchLimits:
    """A batch takes `most_tokens` with its padding; a longer row runs alone. No row is padded by more than `most_padding` of its batch."""

    most_tokens: int = 256
    most_padding: float = 0.25


class RowBatcher:
    """`run(rows)` gives a result for each row. Threads start with the first row; `close()` ends them."""

    def __init__(
        self,
        run: Callable[[Sequence[Any]], Sequence[Any]],
        n_workers: int,
        limits: BatchLimits = BatchLimits(),
        key: Key = lambda row: None,
    ) -> None:
        self._run, self._n_workers, self._limits, self._key = run, n_workers, limits, key
        self._waiting: list[Waiting] = []
        self._changed = threading.Condition()
        self._workers: list[threading.Thread] = []
        self._is_closed = False

    def results(self, rows: Sequence[Row]) -> list[Any]:
        """One result per row, in order. Raises: what `run` raised; InfrastructureError after `close()`."""
        futures: list[Future[Any]] = [Future() for _ in rows]
        with self._changed:
            if self._is_closed:
                raise InfrastructureError("The local models are closed.", next_step="Ask again after the restart.")
            self._start()
            self._waiting += zip(rows, futures, strict=True)
            self._changed.notify(len(rows))
        return [future.result() for future in futures]

    def close(self) -> None:
        """End the workers once they have done what waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()

    def _start(self) -> None:
        while len(self._workers) < self._n_workers:
            worker = threading.Thread(target=self._work, name=f"rows-{len(self._workers)}", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self) -> None:
        while batch := self._next():
            try:
                results = self._run([row for row, _ in batch])
            except Exception as error:  # handed to whoever waits for it
                for _, future in batch:
                    future.set_exception(error)
            else:
                for (_, future), result in zip(batch, results, strict=True):
                    future.set_result(result)

    def _next(self) -> list[Waiting]:
        """Take a batch; none once all is done and closed."""
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            share = -(-len(self._waiting) // self._n_workers)  # what waits is for all workers
            taken = batch_of([row for row, _ in self._waiting], self._limits, self._key)[:share]
            batch = [self._waiting[i] for i in taken]
            self._waiting = [item for i, item in enumerate(self._waiting) if i not in set(taken)]
            return batch


def batch_of(rows: Sequence[Row], limits: BatchLimits, key: Key = lambda row: None) -> list[int]:
    """The first row, and those with its key nearest to it in length that fit beside it."""
    if not rows:
        return []
    first, taken = rows[0], [0]
    shortest = longest = len(first)
    others = [i for i in range(1, len(rows)) if key(rows[i]) == key(first)]
    for i in sorted(others, key=lambda i: abs(len(rows[i]) - len(first))):
        low, high = min(shortest, len(rows[i])), max(longest, len(rows[i]))
        if high * (len(taken) + 1) > limits.most_tokens or low < (1 - limits.most_padding) * high:
            break
        taken.append(i)
        shortest, longest = low, high
    return taken
