"""Runs a suite: asks a target for each sample, scores what came back, and yields rows in the samples' order.

A case is a pure function of sample, target and scorers, so that many machines can share a suite. An error is never a score:
a target that failed, a scorer that broke and a value that is no number give a `Score` with an error and no value. In rows,
`Score.scorer` is the name of the metric. Knows no store but what `Cache` and `RunStore` say.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from data.records import EvalRow, Observation, Sample
from evals.scoring import Scorer

LONGEST_ERROR = 500
RowKey = tuple[str, int]
"""Sample id and repeat."""


@dataclass(frozen=True)
class Target:
    """What is measured. `answer` tells its trouble with one sample as `Observation.error`.

    `digest` names all that decides every answer; empty means that nobody can tell, and nothing is cached. `case_digest` names
    what decides one sample's answer, where that costs less than answering (what was retrieved, the rendered prompt): two targets
    with equal digests for a sample answer it alike.
    """

    name: str
    answer: Callable[[Sample], Observation]
    digest: str = ""
    case_digest: Callable[[Sample], str] | None = None

    def __call__(self, sample: Sample) -> Observation:
        return self.answer(sample)


class Cache(Protocol):
    """Bodies by content key. Both may be called from several threads."""

    def get(self, key: str) -> str | None: ...

    def put(self, key: str, kind: str, body: str) -> None: ...


@dataclass
class DictCache:
    """A cache for one process, and the fake of tests."""

    bodies: dict[str, str] = field(default_factory=dict)

    def get(self, key: str) -> str | None:
        return self.bodies.get(key)

    def put(self, key: str, kind: str, body: str) -> None:
        self.bodies[key] = body


def iter_rows(
    target: Target,
    scorers: Sequence[Scorer],
    samples: Iterable[Sample],
    *,
    run_id: str = "",
    cache: Cache | None = None,
    repeats: int = 1,
    concurrency: int = 1,
    fresh: bool = False,
    known: Mapping[RowKey, EvalRow] | None = None,
) -> Iterator[EvalRow]:
    """Yield a row for each sample and repeat, in order, lazily: whoever stops reading stops the spending.

    At most `concurrency` cases are under way, so at most one less than that is spent in vain. `fresh` does not read the cache,
    and neither does any repeat after the first. Rows in `known` are taken as they are.
    """
    raise NotImplementedError
