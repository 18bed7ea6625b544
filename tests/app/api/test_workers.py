import asyncio
import threading
import time

import pytest

from app.api.config import ApiConfig
from app.api.workers import NOTHING_LEFT, Steps, Workers
from app.telemetry import Metrics
from data.errors import DeadlineExceeded, Overloaded


def with_workers(work, **limits):
    """Run `work(workers)` in an event loop of its own."""

    async def go():
        workers = Workers(ApiConfig(**limits), Metrics())
        try:
            return await work(workers)
        finally:
            workers.close()

    return asyncio.run(go())


def test_a_call_that_is_too_slow_keeps_its_place_until_it_has_ended():
    free = threading.Event()

    async def work(workers):
        with pytest.raises(DeadlineExceeded):
            await workers.run(free.wait, timeout_s=0.02)
        with pytest.raises(Overloaded):
            await workers.run(time.time)
        free.set()
        await asyncio.sleep(0.05)
        assert await workers.run(lambda: 7) == 7

    with_workers(work, max_concurrent=1, max_queued=0)


def test_a_request_that_waits_too_long_for_a_place_is_told_to_come_back():
    async def work(workers):
        await workers.admit()
        with pytest.raises(Overloaded, match=r"0\.02 s"):
            await workers.admit()
        workers.release()
        await workers.admit()

    with_workers(work, max_concurrent=1, max_queued=1, queue_timeout_s=0.02)


def test_a_generator_stopped_between_steps_is_closed_before_its_place_is_free():
    order: list[str] = []

    def items():
        try:
            yield from range(3)
        finally:
            order.append("closed")

    async def work(workers):
        steps = Steps(workers, items)
        assert await steps.next() == 0
        done = asyncio.Event()
        steps.stop(then=lambda: (order.append("released"), done.set()))
        await done.wait()

    with_workers(work)
    assert order == ["closed", "released"]


def test_a_generator_stopped_during_a_step_is_closed_after_it():
    order: list[str] = []

    def items():
        try:
            time.sleep(0.05)
            order.append("stepped")
            yield 1
        finally:
            order.append("closed")

    async def work(workers):
        steps = Steps(workers, items)
        steps.next()
        await asyncio.sleep(0.01)
        done = asyncio.Event()
        steps.stop(then=done.set)
        assert order == []
        await done.wait()

    with_workers(work)
    assert order == ["stepped", "closed"]


def test_a_step_at_work_is_told_to_stop():
    stopped = threading.Event()

    def items():
        yield stopped.wait(10)

    async def work(workers):
        steps = Steps(workers, items, stopped)
        step = steps.next()
        await asyncio.sleep(0.01)
        steps.stop(then=lambda: None)
        assert await asyncio.wait_for(step, 1) is True

    with_workers(work)


def test_a_generator_stopped_before_it_began_never_begins():
    async def work(workers):
        steps = Steps(workers, lambda: pytest.fail("it began"))
        steps.stop(then=lambda: None)
        assert await steps.next() is NOTHING_LEFT

    with_workers(work)


def test_consuming_all_steps_ends_between_two_items_when_stopped():
    seen: list[int] = []

    def endless():
        n = 0
        while True:
            time.sleep(0.01)
            yield (n := n + 1)

    async def work(workers):
        steps = Steps(workers, endless)
        consuming = steps.all(lambda items: seen.extend(items))
        await asyncio.sleep(0.05)
        steps.stop(then=lambda: None)
        await asyncio.wait_for(consuming, 1)
        n = len(seen)
        await asyncio.sleep(0.05)
        assert seen == list(range(1, n + 1)), "whole items, none after the end"

    with_workers(work)
