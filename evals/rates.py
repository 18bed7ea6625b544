"""How many items a second a model takes, on one core and on the clock. Knows no model."""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def measured_rates(call: Callable[[Sequence[T]], Any], items: Sequence[T]) -> dict[str, Any]:
    """Call with one item at a time, then with all. Processor time counts all threads: per core second is what one core gives."""
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
    began_together = time.process_time()
    call(items)
    together = time.process_time() - began_together
    return {
        "n": len(items),
        "per_core_second_together": round(len(items) / max(together, 1e-9), 2),
        "per_core_second": round(len(items) / max(used, 1e-9), 2),
        "per_second_one_at_a_time": round(len(items) / max(passed, 1e-9), 2),
        "p50_ms": round(sorted(took)[len(took) // 2], 2),
    }
