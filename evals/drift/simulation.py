"""Measures the watch against what it promises: false alarms of months without drift, delay after a planted one. Given arrays; reads no file.

`app.bench.drift` runs it over ../shared/data and writes the figures of docs/drift.md.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.tabular.table_spec import TableSpec
from evals.drift.config import LanguageWatch, TabularWatch
from evals.drift.knowledge import Knowledge
from evals.drift.language import LanguageBaseline
from evals.drift.requests import RequestWindow
from evals.drift.tabular import TableBaseline

START = datetime(2026, 1, 5, tzinfo=UTC)
ABSTAINS_BELOW = 0.35
"""A simulated product that abstains where no chunk is nearer than about that; the edge is soft."""


@dataclass(frozen=True)
class Questions:
    """Real questions with their vectors, cosine to the nearest chunk, and what they are about."""

    texts: tuple[str, ...]
    vectors: NDArray[np.float32]
    nearness: NDArray[np.float64]
    about: NDArray[np.object_]


@dataclass
class Tally:
    """Alarms counted by monitor, over so many months."""

    n_months: int
    alarms: Counter

    @property
    def per_month(self) -> float:
        return sum(self.alarms.values()) / self.n_months if self.n_months else float("nan")


def requests_of(
    questions: Questions, rows: NDArray[np.int64], start: datetime, days: float, rng: np.random.Generator
) -> RequestWindow:
    """The questions at `rows` as a product would have logged them, evenly over some days."""
    n = len(rows)
    near = questions.nearness[rows]
    abstained = (near + 0.1 * rng.standard_normal(n) < ABSTAINS_BELOW).astype(np.float64)
    nothing = np.full(n, np.nan)
    numbers = {
        "similarity": near.copy(),
        "score": near.copy(),
        "score_gap": nothing,
        "abstained": abstained,
        "support": np.where(abstained > 0, np.nan, 1.0),
        "length": np.where(abstained > 0, np.nan, rng.lognormal(4.5, 0.5, n)),
        "latency_ms": rng.lognormal(3, 0.4, n),
        "tokens": np.zeros(n),
        "toxicity": nothing,
        "thumbs_down": nothing,
    }
    return RequestWindow(
        at=tuple(start + timedelta(days=days * k / n) for k in range(n)),
        questions=tuple(questions.texts[i] for i in rows),
        vectors=questions.vectors[rows],
        embedder="simulated",
        numbers=numbers,
        chunk_ids=tuple(() for _ in rows),
        receipt_ids=tuple(f"r{k}" for k in range(n)),
    )


def quiet_months(
    config: LanguageWatch,
    questions: Questions,
    *,
    n_months: int,
    n_reference: int,
    n_window: int,
    months_per_reference: int = 4,
    seed: int = 0,
) -> Tally:
    """Months of questions drawn from the same set as the reference: every alarm is a false one."""
    rng = np.random.default_rng(seed)
    n_windows = round(config.budget.days / config.window.days)
    alarms: Counter = Counter()
    days = config.window.days
    done = 0
    while done < n_months:
        order = rng.permutation(len(questions.texts))
        span = days * n_reference / n_window
        reference = requests_of(questions, order[:n_reference], START, span, rng)
        baseline = LanguageBaseline(config, reference)
        for _ in range(min(months_per_reference, n_months - done)):
            rows = rng.choice(order[n_reference:], n_windows * n_window, replace=False)
            for k in range(n_windows):
                part = rows[k * n_window : (k + 1) * n_window]
                window = requests_of(questions, part, START + timedelta(days=span + k * days), days, rng)
                values = [*baseline.compare(window), *baseline.follow(window)]
                alarms.update(value.monitor for value in values if value.is_alarm)
            baseline.reset_streams()
            done += 1
    return Tally(n_months, alarms)


@dataclass(frozen=True)
class Delay:
    """Requests between the shift and the first alarm of each monitor; None where none came within the horizon."""

    by_monitor: dict[str, int | None]

    @property
    def first(self) -> int | None:
        found = [n for n in self.by_monitor.values() if n is not None]
        return min(found) if found else None


def shift_delays(
    config: LanguageWatch,
    questions: Questions,
    *,
    knowledge_of: dict[str, NDArray[np.float32]],
    n_repeats: int,
    n_reference: int,
    share: float = 0.1,
    n_new: int = 9,
    horizon: int = 1000,
    seed: int = 0,
) -> Iterator[tuple[Delay, list[str]]]:
    """From one request on, a share of the questions is about articles that neither the reference nor the chunks knew."""
    rng = np.random.default_rng(seed)
    titles = sorted(knowledge_of)
    for _ in range(n_repeats):
        new = set(rng.choice(titles, n_new, replace=False))
        chunks = np.concatenate([knowledge_of[title] for title in titles if title not in new])
        knowledge = Knowledge(tuple(f"c{k}" for k in range(len(chunks))), chunks)
        is_new = np.isin(questions.about.astype(str), list(new))
        near = knowledge.nearest(questions.vectors)[0].astype(np.float64)
        known = Questions(questions.texts, questions.vectors, near, questions.about)
        old = rng.permutation(np.flatnonzero(~is_new))
        reference = requests_of(known, old[:n_reference], START, 28, rng)
        baseline = LanguageBaseline(config, reference, knowledge)
        fresh = rng.choice(np.flatnonzero(is_new), horizon)
        rows = np.where(rng.random(horizon) < share, fresh, rng.choice(old[n_reference:], horizon))
        window = requests_of(known, rows, START + timedelta(days=28), 7, rng)
        delays: dict[str, int | None] = {}
        for value in baseline.follow(window):
            delays[value.monitor] = int(value.detail["request"]) + 1 if value.is_alarm else None
        for size in (250, 500, horizon):
            for value in baseline.compare(window.part(np.arange(size))):
                if value.is_alarm and delays.get(value.monitor) is None:
                    delays[value.monitor] = size
                delays.setdefault(value.monitor, None)
        yield Delay(delays), sorted(new)


def quiet_tables(
    config: TabularWatch,
    spec: TableSpec,
    table: pd.DataFrame,
    *,
    n_months: int,
    n_reference: int,
    n_window: int,
    months_per_reference: int = 10,
    seed: int = 0,
) -> Tally:
    """Months of rows drawn from the same table as the reference."""
    rng = np.random.default_rng(seed)
    n_windows = max(1, round(config.budget.days / config.window.days))
    alarms: Counter = Counter()
    done = 0
    while done < n_months:
        order = rng.permutation(len(table))
        baseline = TableBaseline(config, spec, table.iloc[order[:n_reference]])
        for _ in range(min(months_per_reference, n_months - done)):
            for _ in range(n_windows):
                rows = rng.choice(order[n_reference:], n_window, replace=False)
                values = baseline.compare(table.iloc[rows], START)
                alarms.update(value.monitor for value in values if value.is_alarm)
            done += 1
    return Tally(n_months, alarms)


def spearman(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Rank correlation."""
    return float(np.corrcoef(pd.Series(a).rank(), pd.Series(b).rank())[0, 1])
