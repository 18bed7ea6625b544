"""Runs a suite: asks a target for each sample, scores what came back, and yields rows in the samples' order.

A case is a pure function of sample, target and scorers, so that many machines can share a suite. An error is never a score:
a target that failed, a scorer that broke and a value that is no number give a `Score` with an error and no value. In rows,
`Score.scorer` is the name of the metric. Knows no store but what `Cache` and `RunStore` say.
"""

import hashlib
import json
import math
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from pydantic import JsonValue

from data.records import Answer, EvalRow, EvalRun, Observation, Sample, Score, Sentence
from evals.dataset import samples_digest
from evals.digest import RunDigest, digested
from evals.scoring import Metric, Scorer
from evals.suite import Suite, suite_digest

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


class RunStore(Protocol):
    """Where runs are kept. A row that is there already is replaced."""

    def resumable(self, fingerprint: str) -> EvalRun | None: ...

    def begin(self, run: EvalRun, fingerprint: str) -> None: ...

    def append(self, row: EvalRow) -> None: ...

    def rows(self, run_id: str) -> list[EvalRow]: ...

    def finish(self, run: EvalRun, summary: Mapping[str, JsonValue], digest: RunDigest | None = None) -> None: ...


@dataclass(frozen=True)
class Plan:
    """Everything that a run repeats: what is asked, of whom, and what is measured."""

    suite: Suite
    target: Target
    scorers: Sequence[Scorer]
    samples: Sequence[Sample]
    repeats: int = 1
    fresh: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Equal for runs that can continue one another; empty where the target cannot be told from another."""
        if not self.target.digest:
            return ""
        ids = [scorer.id for scorer in self.scorers]
        asked = [suite_digest(self.suite), samples_digest(self.samples), self.repeats, self.fresh]
        return _sha256([*asked, self.target.name, self.target.digest, ids])


def target_of(call: Callable[[Sample], Observation | Answer | str], name: str = "", digest: str = "") -> Target:
    """Any Python callable as a target. What it raises becomes that sample's error; a string becomes an answer without proof."""

    def answer(sample: Sample) -> Observation:
        given = call(sample)
        if isinstance(given, str):
            given = Answer(text=given, sentences=(Sentence(text=given),))
        return Observation(answer=given) if isinstance(given, Answer) else given

    return Target(name or getattr(call, "__name__", type(call).__name__), answer, digest)


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
    bench, done = _Bench(target, tuple(scorers), cache, fresh, run_id), known or {}
    under_way: deque[Future[EvalRow]] = deque()
    with ThreadPoolExecutor(concurrency, thread_name_prefix="eval") as pool:
        try:
            for sample in samples:
                for repeat in range(repeats):
                    row = done.get((sample.id, repeat))
                    under_way.append(_settled(row) if row else pool.submit(bench.row, sample, repeat))
                    if len(under_way) >= concurrency:
                        yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


def run_suite(
    plan: Plan,
    store: RunStore,
    cache: Cache | None = None,
    report: Callable[[EvalRow], None] = lambda _: None,
    concurrency: int | None = None,
) -> EvalRun:
    """Run to the end, keeping each row as it comes. A run of the same plan that was cut short is continued.

    Rows that failed then are asked again. `report` hears every row, also those that were kept before.
    """
    began = time.perf_counter()
    run = store.resumable(plan.fingerprint) if plan.fingerprint else None
    known: dict[RowKey, EvalRow] = {}
    if run is None:
        run = _begun(plan)
        store.begin(run, plan.fingerprint)
    else:
        known = {(r.sample_id, r.repeat): r for r in store.rows(run.id) if not r.observation.error}
    rows = []
    found = iter_rows(
        plan.target,
        plan.scorers,
        plan.samples,
        run_id=run.id,
        cache=cache,
        repeats=plan.repeats,
        concurrency=concurrency or plan.suite.concurrency,
        fresh=plan.fresh,
        known=known,
    )
    for row in found:
        if (row.sample_id, row.repeat) not in known:
            store.append(row)
        rows.append(row)
        report(row)
    status = "failed" if rows and all(row.observation.error for row in rows) else "complete"
    run = run.model_copy(update={"status": status})
    metrics = {metric.name: metric for scorer in plan.scorers for metric in scorer.metrics}
    cost = spent(rows) | {"seconds": round(time.perf_counter() - began, 3), "n_resumed": len(known)}
    store.finish(run, cost, digested(rows, plan.samples, metrics))
    return run


def spent(rows: Sequence[EvalRow]) -> dict[str, JsonValue]:
    """What rows cost: those from the cache cost nothing now."""
    asked = [row.observation.answer for row in rows if not row.is_cached and row.observation.answer]
    return {
        "n_rows": len(rows),
        "n_cached": sum(row.is_cached for row in rows),
        "n_failed": sum(bool(row.observation.error) for row in rows),
        "prompt_tokens": sum(answer.usage.prompt_tokens for answer in asked),
        "completion_tokens": sum(answer.usage.completion_tokens for answer in asked),
    }


def cluster_of(sample: Sample) -> str:
    """Samples with the same cluster are not independent: `metadata.cluster`, else the first document cited, else the sample."""
    named = sample.metadata.get("cluster")
    if named:
        return str(named)
    return sample.citations[0][0] if sample.citations else sample.id


@dataclass(frozen=True)
class _Bench:
    target: Target
    scorers: tuple[Scorer, ...]
    cache: Cache | None
    fresh: bool
    run_id: str

    def row(self, sample: Sample, repeat: int) -> EvalRow:
        decides, problem = self._digest(sample)
        key = _sha256(["observation", sample.model_dump(mode="json"), decides])
        cache = self.cache if decides and repeat == 0 else None
        kept = cache.get(key) if cache and not self.fresh and not problem else None
        if kept is not None:
            observation = Observation.model_validate_json(kept)
        else:
            observation = Observation(error=problem) if problem else _asked(self.target, sample)
            if cache and not observation.error:
                cache.put(key, "observation", observation.model_dump_json())
        return EvalRow(
            run_id=self.run_id,
            sample_id=sample.id,
            repeat=repeat,
            cluster=cluster_of(sample),
            input_sha256=key,
            observation=observation,
            scores=tuple(s for scorer in self.scorers for s in self._scores(scorer, sample, observation, cache)),
            is_cached=kept is not None,
        )

    def _digest(self, sample: Sample) -> tuple[str, str]:
        """What decides this sample's answer, and why that cannot be told."""
        if self.target.case_digest is None:
            return self.target.digest, ""
        try:
            return self.target.case_digest(sample), ""
        except Exception as error:
            return "", _told(error)

    def _scores(self, scorer: Scorer, sample: Sample, seen: Observation, cache: Cache | None) -> Sequence[Score]:
        if seen.error:
            return [Score(scorer=metric.name, value=None, error=seen.error) for metric in scorer.metrics]
        key = _sha256(["scores", sample.model_dump(mode="json"), seen.model_dump(mode="json"), scorer.id])
        if cache and not self.fresh and (kept := cache.get(key)) is not None:
            return [Score.model_validate(score) for score in json.loads(kept)]
        scores = scored(scorer, sample, seen)
        if cache and not any(score.error for score in scores):
            cache.put(key, "scores", json.dumps([score.model_dump(mode="json") for score in scores]))
        return scores


def scored(scorer: Scorer, sample: Sample, seen: Observation) -> list[Score]:
    """The scorer's scores, with an error in place of whatever is none."""
    metrics = {metric.name: metric for metric in scorer.metrics}
    try:
        return [_sound(score, metrics) for score in scorer.score(sample, seen)]
    except Exception as error:  # a broken scorer is told in its row, and never ends the run
        return [Score(scorer=name, value=None, error=_told(error)) for name in metrics]


def _sound(score: Score, metrics: Mapping[str, Metric]) -> Score:
    metric = metrics.get(score.scorer)
    if metric is None:
        raise ValueError(f"the scorer gave {score.scorer!r} and declares {', '.join(metrics)}")
    if score.error:
        return score.model_copy(update={"value": None})
    low, high, value = metric.low, metric.high, score.value
    if value is None or not math.isfinite(value):
        return score.model_copy(update={"value": None, "error": f"the value is no number: {value}"})
    if (low is not None and value < low) or (high is not None and value > high):
        return score.model_copy(update={"value": None, "error": f"the value {value} lies outside {low} to {high}"})
    return score


def _asked(target: Target, sample: Sample) -> Observation:
    began = time.perf_counter()
    try:
        seen = target(sample)
    except Exception as error:  # a plain callable may raise; the run goes on
        return Observation(error=_told(error))
    if seen.latency_ms or seen.error:
        return seen
    return seen.model_copy(update={"latency_ms": round((time.perf_counter() - began) * 1000, 3)})


def _begun(plan: Plan) -> EvalRun:
    return EvalRun(
        id=f"run_{uuid.uuid4().hex[:12]}",
        suite=plan.suite.name,
        created_at=datetime.now(UTC),
        target=plan.target.name,
        config={
            "suite": plan.suite.model_dump(mode="json", exclude={"dataset": {"path"}}),
            "dataset": str(plan.suite.dataset.path),
            "samples_sha256": samples_digest(plan.samples),
            "target_digest": plan.target.digest,
            "scorers": [scorer.id for scorer in plan.scorers],
            "repeats": plan.repeats,
            "fresh": plan.fresh,
        },
        versions=dict(plan.versions),
    )


def _settled(row: EvalRow) -> Future[EvalRow]:
    future: Future[EvalRow] = Future()
    future.set_result(row)
    return future


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:LONGEST_ERROR]


def _sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()
