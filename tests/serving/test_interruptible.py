import asyncio
import threading
import time

import pytest

from serving.interruptible import until_stopped


class Stream:
    """Yields numbers, then waits for ever or fails; tells when it was closed."""

    def __init__(self, n: int, *, then: Exception | None = None, hangs: bool = False) -> None:
        self.n, self.then, self.hangs = n, then, hangs
        self.closed = threading.Event()

    async def __call__(self):
        try:
            for i in range(self.n):
                yield i
            if self.hangs:
                await asyncio.sleep(60)
            if self.then:
                raise self.then
        finally:
            self.closed.set()


def test_items_come_in_order_and_the_end_is_the_end():
    stream = Stream(500)
    assert list(until_stopped(stream, threading.Event())) == list(range(500))
    assert stream.closed.is_set()


def test_an_error_of_the_stream_is_raised_after_what_came_before_it():
    items = until_stopped(Stream(2, then=ConnectionError("gone")), threading.Event())
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(ConnectionError, match="gone"):
        next(items)


def test_a_stream_of_which_nothing_comes_is_left_and_closed_when_told_to_stop():
    stream, stopped = Stream(1, hangs=True), threading.Event()
    threading.Timer(0.1, stopped.set).start()
    began = time.monotonic()
    assert list(until_stopped(stream, stopped)) == [0]
    assert time.monotonic() - began < 1
    assert stream.closed.is_set()


def test_closing_the_reader_closes_the_stream_before_it_returns():
    stream = Stream(1, hangs=True)
    items = until_stopped(stream, threading.Event())
    assert next(items) == 0
    items.close()
    assert stream.closed.is_set()


def test_many_streams_share_one_thread():
    before = threading.active_count()
    readers = [until_stopped(Stream(1, hangs=True), threading.Event()) for _ in range(20)]
    assert [next(reader) for reader in readers] == [0] * 20
    assert threading.active_count() <= before + 1
    for reader in readers:
        reader.close()
