"""A window of requests against the reference: embeddings, coverage, what answers measured, and streams. Knows no database and no product.

baseline = LanguageBaseline(config, reference, knowledge)        # fitted once
values = baseline.compare(window)                                 # whole windows
values += baseline.follow(window)                                 # request by request; keeps its state from window to window
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evals.drift.blocks import mean_inflation, slices
from evals.drift.budget import Allowance, allowance
from evals.drift.columns import Binning, counted_numbers, number_binning
from evals.drift.config import LanguageWatch, Stream
from evals.drift.detectors import StreamDetector
from evals.drift.embeddings import EmbeddingReference
from evals.drift.features import Matrix
from evals.drift.knowledge import Knowledge
from evals.drift.records import MonitorValue
from evals.drift.requests import RequestWindow
from evals.drift.topics import Novelty
from evals.drift.verdicts import Verdict, judged, judged_share

NUMBERS = ("similarity", "supported", "length", "latency_ms", "tokens", "toxicity")
SHARES = ("abstained", "thumbs_down")
LEAST = {"requests.abstained": 0.03, "requests.thumbs_down": 0.03, "coverage.far": 0.03, "requests.supported": 0.1}
LEAST_NUMBER = 0.2
"""Standard deviations of the reference."""
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
    """What is measured of each request; NaN where it was not."""

    numbers: dict[str, Numbers]
    vectors: Matrix
    """Of the requests that have one."""
    with_vector: NDArray[np.int64]
    """Their places."""
    nearness: Numbers
    """Cosine to the nearest chunk, or the best of the search where no chunks are given."""


class LanguageBaseline:
    """The reference, fitted; `knowledge` are the chunks questions may be answered from."""

    def __init__(self, config: LanguageWatch, reference: RequestWindow, knowledge: Knowledge | None = None) -> None:
        self.config = config
        self.reference = reference
        self.knowledge = knowledge if knowledge is not None and len(knowledge.ids) else None
        self.columns = self.columns_of(reference)
        self._after = 0
        """Requests that the streams have seen."""

    # -- what is watched

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        return tuple(name for name in NUMBERS if self._is_known(self.columns.numbers[name]))

    @cached_property
    def shares(self) -> tuple[str, ...]:
        return tuple(name for name in SHARES if self._is_known(self.columns.numbers[name]))

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        return tuple(
            name for name in self.config.streams if self._is_known(self._stream_scores(name, self.columns, True))
        )

    def _is_known(self, column: Numbers) -> bool:
        return int((~np.isnan(column)).sum()) >= self.config.min_rows

    @property
    def has_vectors(self) -> bool:
        return len(self.columns.vectors) >= self.config.min_rows

    @cached_property
    def monitors(self) -> tuple[str, ...]:
        """All window monitors that take a part of the budget."""
        found = [f"embedding.{name}" for name in self.config.effects if self.has_vectors]
        found += [f"requests.{name}" for name in (*self.numbers, *self.shares)]
        found += ["coverage.far"] if self._is_known(self.columns.nearness) else []
        return tuple(found)

    @cached_property
    def allowance(self) -> Allowance:
        span = (
            (self.reference.at[-1] - self.reference.at[0]).total_seconds() / 86_400 if len(self.reference) > 1 else 1.0
        )
        return allowance(
            self.config.budget.budget,
            n_monitors=len(self.monitors),
            window_days=self.config.window.days,
            n_detectors=len(self.streams),
            events_per_day=len(self.reference) / max(span, 1 / 24),
        )

    # -- whole windows

    def compare(self, window: RequestWindow, at: datetime | None = None) -> list[MonitorValue]:
        """One value for each of `monitors`; `at` is the end of the window."""
        moment = at or window.at[-1]
        here = self.columns_of(window)
        alpha = self.allowance.alpha or 0.01
        return [
            *self._embeddings(here, moment, alpha),
            *(self._number(name, here, moment, alpha) for name in self.numbers),
            *(
                self._share(f"requests.{name}", self.columns.numbers[name], here.numbers[name], moment, alpha)
                for name in self.shares
            ),
            *self._far(here, moment, alpha),
        ]

    def _embeddings(self, here: Columns, at: datetime, alpha: float) -> list[MonitorValue]:
        if not self.has_vectors:
            return []
        if len(here.vectors) < self.config.min_rows:
            note = f"{len(here.vectors)} questions with a vector; {self.config.min_rows} are needed"
            return [
                MonitorValue(monitor=f"embedding.{name}", at=at, value=None, note=note) for name in self.config.effects
            ]
        effects = self._embedding_reference(len(here.vectors)).compare(here.vectors, alpha, self.config.effects)
        return [
            MonitorValue(
                monitor=f"embedding.{e.name}",
                at=at,
                value=e.value,
                low=e.low,
                high=e.high,
                threshold=e.threshold,
                least=self._least(f"embedding.{e.name}", 0.0) or 0.0,
                is_alarm=e.is_alarm,
                p_value=e.p_value,
            )
            for e in effects
        ]

    def _embedding_reference(self, n: int) -> EmbeddingReference:
        reference = self._fitted_embeddings
        groups = [self.columns.vectors[rows] for rows in slices(len(self.columns.vectors), n)]
        reference.inflation = mean_inflation(groups)
        return reference

    @cached_property
    def _fitted_embeddings(self) -> EmbeddingReference:
        fitted = EmbeddingReference(self.columns.vectors)
        fitted.least |= {
            name: self.config.least[f"embedding.{name}"]
            for name in fitted.least
            if f"embedding.{name}" in self.config.least
        }
        return fitted

    def _number(self, name: str, here: Columns, at: datetime, alpha: float) -> MonitorValue:
        monitor = f"requests.{name}"
        column = here.numbers[name]
        if not self._is_known(column):
            return MonitorValue(monitor=monitor, at=at, value=None, note="too few requests have it")
        binning = self._binnings[name]
        ours = counted_numbers(self.columns.numbers[name], binning)
        verdict = judged(
            "wasserstein",
            binning,
            ours,
            counted_numbers(column, binning),
            alpha=alpha,
            least=self._least(monitor, LEAST_NUMBER),
        )
        detail = {"reference_mean": _mean(self.columns.numbers[name]), "window_mean": _mean(column)}
        return _told(monitor, at, verdict, self._least(monitor, LEAST_NUMBER), detail)

    def _share(self, monitor: str, ours: Numbers, theirs: Numbers, at: datetime, alpha: float) -> MonitorValue:
        least = self._least(monitor, 0.03)
        known, seen = ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]
        if len(seen) < self.config.min_rows:
            return MonitorValue(monitor=monitor, at=at, value=None, note="too few requests have it")
        sides = (int(known.sum()), len(known)), (int(seen.sum()), len(seen))
        verdict = judged_share(*sides, alpha=alpha, least=least)
        return _told(monitor, at, verdict, least, {"reference_mean": _mean(known), "window_mean": _mean(seen)})

    def _far(self, here: Columns, at: datetime, alpha: float) -> list[MonitorValue]:
        if "coverage.far" not in self.monitors:
            return []
        ours, theirs = self.is_far(self.columns), self.is_far(here)
        return [self._share("coverage.far", ours, theirs, at, alpha)]

    def is_far(self, columns: Columns) -> Numbers:
        """1 for a request that is far from every chunk, 0 for another, NaN where that is not known."""
        near = columns.nearness
        return np.where(np.isnan(near), np.nan, near < self.far_below)

    @cached_property
    def far_below(self) -> float:
        return float(np.nanquantile(self.columns.nearness, self.config.knowledge.far_quantile))

    # -- streams

    def follow(self, window: RequestWindow, at: datetime | None = None) -> list[MonitorValue]:
        """Feed a window's requests to the detectors, which go on from where the last one ended."""
        moment = at or window.at[-1]
        here = self.columns_of(window)
        out = [self._followed(name, here, moment) for name in self.streams]
        self._after += len(window)
        return out

    def reset_streams(self) -> None:
        """Forget all that the detectors have seen since the reference."""
        self._after = 0
        self.__dict__.pop("_detectors", None)

    def _followed(self, name: Stream, here: Columns, at: datetime) -> MonitorValue:
        detector = self._detectors[name]
        most, detail = 0.0, {}
        for place, score in enumerate(self._stream_scores(name, here)):
            found = detector.add(float(score))
            most = max(most, found.evidence if found else detector.evidence)
            if found is not None and not detail:
                detail = {
                    "request": place,
                    "after": self._after + place + 1,
                    "began": max(0, found.began - self._after),
                }
        return MonitorValue(
            monitor=f"stream.{name}",
            at=at,
            value=float(np.log10(max(most, 1e-9))),
            threshold=float(np.log10(detector.run_length)),
            is_alarm=bool(detail),
            detail=detail,
        )

    @cached_property
    def _detectors(self) -> dict[str, StreamDetector]:
        run_length = self.allowance.run_length or 1e9
        return {
            name: StreamDetector(list(self._stream_scores(name, self.columns, True)), run_length, seed=k)
            for k, name in enumerate(self.streams)
        }

    def _stream_scores(self, name: Stream, columns: Columns, is_reference: bool = False) -> Numbers:
        """One score a request, higher for worse. Of the reference only what the score itself was not fitted on."""
        numbers = columns.numbers
        if name == "novelty":
            rows = slice(1, None, 2) if is_reference else slice(None)
            out = np.full(len(numbers["abstained"]), np.nan)
            if len(columns.vectors) and self.has_vectors:
                out[columns.with_vector[rows]] = self._novelty(columns.vectors[rows])
            return out
        if name == "similarity":
            return -columns.nearness
        if name == "unsupported":
            return 1 - numbers["supported"]
        return numbers["latency_ms"] if name == "latency" else numbers["abstained"]

    @cached_property
    def _novelty(self) -> Novelty:
        return Novelty(self.columns.vectors[::2])

    def novelty(self, columns: Columns) -> Numbers:
        """Of the requests that have a vector."""
        return self._novelty(columns.vectors)

    # -- columns

    def columns_of(self, window: RequestWindow) -> Columns:
        numbers = dict(window.numbers)
        answered = np.where(np.isnan(numbers["support"]), 1.0, numbers["support"])
        numbers["supported"] = np.where(numbers["abstained"] > 0, 0.0, answered)
        rows = np.flatnonzero(window.has_vector)
        vectors = window.vectors[rows]
        nearness = numbers["similarity"].copy()
        if self.knowledge is not None and len(rows):
            nearness[rows] = self.knowledge.nearest(vectors)[0]
        return Columns(numbers, vectors, rows, nearness)

    @cached_property
    def _binnings(self) -> dict[str, Binning]:
        return {name: number_binning(self.columns.numbers[name]) for name in self.numbers}

    def _least(self, monitor: str, default: float) -> float:
        return self.config.least.get(monitor, LEAST.get(monitor, default))


def _told(monitor: str, at: datetime, verdict: Verdict, least: float, detail: dict) -> MonitorValue:
    return MonitorValue(
        monitor=monitor,
        at=at,
        value=verdict.value,
        low=verdict.low,
        high=verdict.high,
        threshold=verdict.threshold,
        least=least,
        is_alarm=verdict.is_alarm,
        p_value=verdict.p_value,
        detail=detail,
    )


def _mean(column: Sequence[float] | Numbers) -> float:
    return float(np.nanmean(column)) if len(column) else 0.0
