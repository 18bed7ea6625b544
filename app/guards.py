"""The trained screens beside the rules: is this text giving orders, is this sentence toxic? Knows no adapter: it takes callables.

Chunks come back question after question, so what was judged once is remembered.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Judge = Callable[[Sequence[str]], Sequence[float]]
"""Texts to probabilities."""
MOST_REMEMBERED = 50_000


@dataclass(frozen=True)
class Guard:
    """`injection` and `toxicity` are None where no adapter is there: then the rules are all there is. `id` goes into receipts."""

    injection: Judge | None = None
    toxicity: Judge | None = None
    id: str = ""


class Remembered:
    """A judge that judges each text once. Threads may share it."""

    def __init__(self, judge: Judge, most: int = MOST_REMEMBERED) -> None:
        self._judge, self._most = judge, most
        self._known: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> list[float]:
        keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        with self._lock:
            known = {key: self._known[key] for key in keys if key in self._known}
        unknown = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        known |= zip(unknown, self._judge(list(unknown.values())) if unknown else (), strict=True)
        with self._lock:
            for key in keys:
                self._known[key] = known[key]
                self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        return [known[key] for key in keys]
