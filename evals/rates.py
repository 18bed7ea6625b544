"""How many items a second a model takes, on one core and on the clock. Knows no model."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def measured_rates(call: Callable[[Sequence[T]], Any], items: Sequence[T]) -> dict[str, Any]:
    """Call with one item at a time. Processor time counts all threads, so `per_core_second` is what one core gives alone."""
    if not items:
        return {"n": 0}
    call(items[:1])  # loads, and is not counted
    took = []
    began, used = time.perf_counter(), time.process_time()
    for item in items:
        start = time.perf_counter()
        call([item])
        took.append((time.perf_counter() - start) * 1000)
    used, passed = time.process_time() - used, time.perf_counter() - began
    return {
        "n": len(items),
        "per_core_second": round(len(items) / max(used, 1e-9), 2),
        "per_second_one_at_a_time": round(len(items) / max(passed, 1e-9), 2),
        "p50_ms": round(sorted(took)[len(took) // 2], 2),
    }
