"""What Prometheus sees of predictions, the same names in the API and in KServe. Labels come from closed sets: models, versions, columns."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
from prometheus_client import Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

from serving.tabular.predictor import Predictor, Scored

SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
WINDOW = 500
"""The newest rows that the gauges are about."""
OUTCOMES = ("positive", "negative", "refused", "failed")


class PredictionMetrics(Collector):
    """`registry.register(metrics)` shows them on its page. Several models share one."""

    def __init__(self) -> None:
        of_version = ["model_name", "model_version"]
        self.latency = Histogram(
            "model_prediction_latency_seconds",
            "Time from checked rows to scores, of one call",
            of_version,
            buckets=SECONDS,
            registry=None,
        )
        self.total = Counter(
            "model_predictions", "Rows predicted, refused or failed", [*of_version, "outcome"], registry=None
        )
        self.feature = Gauge(
            "model_feature_value",
            f"Mean of a feature over the newest {WINDOW} rows, as the model reads it",
            [*of_version, "feature"],
            registry=None,
        )
        self.score = Gauge("model_score_value", f"Mean score of the newest {WINDOW} rows", of_version, registry=None)
        self._all = (self.latency, self.total, self.feature, self.score)
        self._recent: dict[tuple[str, str], _Recent] = {}
        self._lock = threading.Lock()

    def describe(self) -> Iterator[Metric]:
        for one in self._all:
            yield from one.describe()

    def collect(self) -> Iterator[Metric]:
        """Gauges are computed here, at a scrape, and not at a request."""
        self._refresh()
        for one in self._all:
            yield from one.collect()

    def scored(self, predictor: Predictor, scored: Scored, seconds: float) -> None:
        of_version = predictor.name, predictor.version
        self.latency.labels(*of_version).observe(seconds)
        n_positive = int(scored.decisions.sum())
        self.total.labels(*of_version, "positive").inc(n_positive)
        self.total.labels(*of_version, "negative").inc(len(scored) - n_positive)
        with self._lock:
            if of_version not in self._recent:
                self._recent[of_version] = _Recent(predictor.model.features.feature_names)
            self._recent[of_version].add(scored)

    def refused(self, name: str, version: str, n_rows: int) -> None:
        self.total.labels(name, version, "refused").inc(n_rows)

    def failed(self, name: str, version: str, n_rows: int) -> None:
        self.total.labels(name, version, "failed").inc(n_rows)

    def _refresh(self) -> None:
        with self._lock:
            seen = {key: recent.means() for key, recent in self._recent.items()}
        for key, (features, score) in seen.items():
            for name, value in features.items():
                self.feature.labels(*key, name).set(value)
            self.score.labels(*key).set(score)


class _Recent:
    """The newest rows of one version."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._features: deque[np.ndarray] = deque(maxlen=WINDOW)
        self._scores: deque[float] = deque(maxlen=WINDOW)

    def add(self, scored: Scored) -> None:
        self._features.extend(scored.features[-WINDOW:])
        self._scores.extend(scored.scores[-WINDOW:].tolist())

    def means(self) -> tuple[dict[str, float], float]:
        means = np.mean(np.stack(list(self._features)), axis=0, dtype=np.float64).tolist()
        return dict(zip(self._names, means, strict=True)), float(np.mean(self._scores))
