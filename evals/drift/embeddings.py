"""How far a window's vectors lie from the reference's: four effects that more rows make surer, not larger.

`EmbeddingReference(vectors)` is fitted once; `compare(window, alpha)` gives each effect, its noise and what it takes to alarm.

**classifier**: AUC, over held-out rows, of a linear discriminant that tells reference and window apart (0.5: it cannot). A classifier as a
two-sample test: Lopez-Paz and Oquab (ICLR 2017). Noise: the Mann-Whitney variance under the null.
**mmd**: squared maximum mean discrepancy (Gretton and others, JMLR 2012) with a Gaussian kernel of median bandwidth, unbiased, as a share of the
kernel's variance in the reference, in [0, 1]. Linear in the rows by random features. Noise: under the null the difference of means is normal, so
its squared length is a weighted sum of chi-squares, which is simulated; `permutation_p` checks it by shuffling.
**centroid**: the same for the linear kernel: the squared distance of means as a share of the total variance.
**frechet**: Heusel and others (NIPS 2017), equation 6, on the reference's first principal components, less its mean under the null, as a share of
their variance. Noise: pieces of the reference against each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from evals.drift.features import Matrix, RandomFeatures, chunks, median_distance, moments
from evals.drift.tails import tail_probability, upper_quantile

N_DRAWS = 20_000
"""Of a null distribution that is simulated from eigenvalues."""
N_SPLITS = 300
"""Of the reference into two, for the null of the Frechet distance."""
MOST_SPLIT = 1500
COMPONENTS = 24
NORMAL = NormalDist()
RIDGE = 1e-2
LEAST = {"classifier": 0.02, "mmd": 0.0005, "centroid": 0.0005, "frechet": 0.003}
"""Effects below which nobody cares, above that of no drift. A tenth of SQuAD's questions about other articles: 0.012, 0.0004, 0.0004 and 0.002; a
fifth: 0.045, 0.0013, 0.0017 and 0.007 (docs/drift.md)."""


@dataclass(frozen=True)
class Effect:
    """`value` has no bias by sampling; it alarms above `threshold` = `none` + least + noise. `low` to `high` is a 95 % interval."""

    name: str
    value: float
    low: float
    high: float
    threshold: float
    p_value: float
    none: float = 0.0
    """The value where nothing has changed."""

    @property
    def is_alarm(self) -> bool:
        return self.value > self.threshold


@dataclass
class EmbeddingReference:
    """float32 [n, d]. Everything that does not depend on the window is computed once, when it is first needed."""

    vectors: Matrix
    seed: int = 0
    inflation: float = 1.0
    """How much more than by chance windows of the reference differ from one another (evals.drift.blocks), in squared distance."""
    least: dict[str, float] = field(default_factory=lambda: dict(LEAST))

    def compare(self, window: Matrix, alpha: float, wanted: Sequence[str] = tuple(LEAST)) -> list[Effect]:
        measures: dict[str, Callable[[Matrix, float], Effect]] = {
            "classifier": self.classifier,
            "mmd": self.mmd,
            "centroid": self.centroid,
            "frechet": self.frechet,
        }
        return [measures[name](window, alpha) for name in wanted]

    # -- distances of means

    def mmd(self, window: Matrix, alpha: float) -> Effect:
        mean, covariance = self._feature_moments
        there = _mean(window, self.features)
        return self._of_means(
            "mmd", mean, there, self._feature_spectrum, float(np.trace(covariance)), len(window), alpha
        )

    def centroid(self, window: Matrix, alpha: float) -> Effect:
        mean, covariance = self._moments
        total = float(np.trace(covariance))
        there = _mean(window, None)
        return self._of_means("centroid", mean, there, self._spectrum, total, len(window), alpha)

    def _of_means(
        self,
        name: str,
        here: NDArray,
        there: NDArray,
        spectrum: tuple[NDArray, NDArray],
        total: float,
        n: int,
        alpha: float,
    ) -> Effect:
        """Equal laws: E|difference|^2 = total (1/m + 1/n), which is taken off."""
        eigenvalues, unit = spectrum
        rate = 1 / len(self.vectors) + 1 / n
        squared = float(((there - here) ** 2).sum())
        value = squared / total - rate
        scale = rate * self.inflation  # the null is scale * (unit / total - 1), unit sorted
        noise = scale * (self._upper(name, unit, alpha) / total - 1)
        # around a true effect the squared length is normal with variance 4 d' C d rate + 2 tr(C^2) rate^2, C isotropic at most its largest
        spread = np.sqrt(4 * squared * eigenvalues[0] * rate + 2 * (eigenvalues**2).sum() * rate**2) / total
        return Effect(
            name,
            value,
            max(0.0, value - 1.96 * spread),
            value + 1.96 * spread,
            self.least[name] + noise,
            tail_probability(unit, total * (value / scale + 1)),
        )

    def _upper(self, name: str, unit: NDArray, alpha: float) -> float:
        if (name, alpha) not in self._quantiles:
            self._quantiles[name, alpha] = upper_quantile(unit, alpha)
        return self._quantiles[name, alpha]

    def permutation_p(self, window: Matrix, n_permutations: int = 200) -> float:
        """How often a shuffling of both sides has at least the discrepancy that is seen: exact, and as slow as it is many."""
        m, n = len(self.vectors), len(window)
        rng = np.random.default_rng(self.seed)
        sums = np.zeros((n_permutations + 1, self.features.n), np.float64)
        all_sum = np.zeros(self.features.n)
        sides = np.zeros((n_permutations + 1, m + n), np.bool_)
        sides[0, m:] = True
        for row in sides[1:]:
            row[rng.permutation(m + n)[:n]] = True
        at = 0
        for rows in (self.vectors, window):
            for part in chunks(len(rows)):
                block = self.features(rows[part])
                sums += sides[:, at : at + len(block)].astype(np.float32) @ block
                all_sum += block.sum(axis=0, dtype=np.float64)
                at += len(block)
        distances = ((sums / n - (all_sum - sums) / m) ** 2).sum(axis=1)
        return tail_probability(distances[1:], distances[0])

    # -- classifier

    def classifier(self, window: Matrix, alpha: float) -> Effect:
        """Two folds: a discriminant learnt on one half of both sides scores the other half."""
        rng = np.random.default_rng(self.seed)
        order = rng.permutation(len(window))
        halves = order[::2], order[1::2]
        aucs = []
        for fold in (0, 1):
            mean, inverse = self._discriminants[1 - fold]
            towards = window[halves[1 - fold]].mean(axis=0, dtype=np.float64) - mean
            direction = (inverse @ towards).astype(np.float32)
            ours = self.vectors[self._folds[fold]] @ direction
            aucs.append(auc(ours, window[halves[fold]] @ direction))
        value = float(np.mean(aucs))
        half = len(self.vectors) / 2, len(window) / 2
        # (m + n + 1) / (12 m n) of one fold; without drift the folds measure the same, d1' C d2 and d2' C d1, so two are not surer than one
        spread = float(np.sqrt((half[0] + half[1] + 1) / (12 * half[0] * half[1]) * self.inflation))
        width = 1.96 * spread
        return Effect(
            "classifier",
            value,
            value - width,
            value + width,
            0.5 + self.least["classifier"] + NORMAL.inv_cdf(1 - alpha) * spread,
            1 - NORMAL.cdf((value - 0.5) / spread),
            0.5,
        )

    # -- Frechet

    def frechet(self, window: Matrix, alpha: float) -> Effect:
        axes, mean, covariance, variance = self._components
        there = _moments_of((window - mean) @ axes)
        squared = frechet_distance(np.zeros(len(covariance)), covariance, *there) / variance
        null = self._frechet_null(len(window)) * self.inflation
        centre, spread = float(null.mean()), float(null.std())
        value = squared - centre
        return Effect(
            "frechet",
            value,
            max(0.0, value - 1.96 * spread),
            value + 1.96 * spread,
            self.least["frechet"] + upper_quantile(null - centre, alpha),
            tail_probability(null - centre, value),
        )

    def _frechet_null(self, n: int) -> NDArray:
        """Pieces of at most `MOST_SPLIT` rows; the distance of equal laws shrinks as 1/m + 1/n."""
        size = min(n, len(self.vectors) // 2, MOST_SPLIT)
        if size not in self._frechet_nulls:
            axes, mean, covariance, variance = self._components
            projected = (self.vectors - mean) @ axes
            rng = np.random.default_rng(self.seed + 1)
            found = np.empty(N_SPLITS)
            zero, root = np.zeros(len(covariance)), _root_of(covariance)
            for k in range(N_SPLITS):
                piece = projected[rng.choice(len(projected), size, replace=False, shuffle=False)]
                found[k] = _distance(zero, covariance, root, *_moments_of(piece)) / variance
            self._frechet_nulls[size] = found
        share = 1 - size / len(self.vectors)  # a piece is part of what it is compared with
        return self._frechet_nulls[size] / share * (1 / n + 1 / len(self.vectors)) * size

    # -- fitted once

    @cached_property
    def features(self) -> RandomFeatures:
        return RandomFeatures(self.vectors.shape[1], median_distance(self.vectors, self.seed), seed=self.seed)

    @cached_property
    def _moments(self) -> tuple[NDArray, NDArray]:
        return moments(self.vectors)

    @cached_property
    def _feature_moments(self) -> tuple[NDArray, NDArray]:
        return moments(self.vectors, self.features)

    @cached_property
    def _spectrum(self) -> tuple[NDArray, NDArray]:
        return self._spectrum_of(self._moments[1])

    @cached_property
    def _feature_spectrum(self) -> tuple[NDArray, NDArray]:
        return self._spectrum_of(self._feature_moments[1])

    def _spectrum_of(self, covariance: NDArray) -> tuple[NDArray, NDArray]:
        """Eigenvalues, largest first, and draws of sum(eigenvalue * chi-square_1)."""
        eigenvalues = np.clip(np.linalg.eigvalsh(covariance)[::-1], 0, None)
        rng = np.random.default_rng(self.seed + 2)
        draws = np.zeros(N_DRAWS)
        for part in np.array_split(eigenvalues.astype(np.float32), max(1, len(eigenvalues) // 64)):
            draws += rng.standard_normal((N_DRAWS, len(part)), dtype=np.float32) ** 2 @ part
        return eigenvalues, draws

    @cached_property
    def _folds(self) -> tuple[NDArray, NDArray]:
        order = np.random.default_rng(self.seed + 4).permutation(len(self.vectors))
        return np.sort(order[::2]), np.sort(order[1::2])

    @cached_property
    def _discriminants(self) -> list[tuple[NDArray, NDArray]]:
        """Of each fold the mean and the inverse covariance, shrunk towards a multiple of the identity (Fisher's discriminant)."""
        found = []
        for fold in self._folds:
            mean, covariance = moments(self.vectors[fold])
            dim = len(covariance)
            shrunk = covariance + RIDGE * np.trace(covariance) / dim**0.5 * np.eye(dim)
            found.append((mean, np.linalg.inv(shrunk)))
        return found

    @cached_property
    def _components(self) -> tuple[Matrix, NDArray, NDArray, float]:
        """Axes, the reference's mean, its covariance along the axes, and their variance."""
        mean, covariance = self._moments
        values, axes = np.linalg.eigh(covariance)
        keep = np.argsort(values)[::-1][: min(COMPONENTS, len(values))]
        return (
            axes[:, keep].astype(np.float32),
            mean.astype(np.float32),
            np.diag(values[keep]),
            float(values[keep].sum()),
        )

    @cached_property
    def _quantiles(self) -> dict[tuple[str, float], float]:
        return {}

    @cached_property
    def _frechet_nulls(self) -> dict[int, NDArray]:
        return {}


def frechet_distance(mean_a: NDArray, cov_a: NDArray, mean_b: NDArray, cov_b: NDArray) -> float:
    """|mean_a - mean_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2), squared distance of two normal laws."""
    return _distance(mean_a, cov_a, _root_of(cov_a), mean_b, cov_b)


def _root_of(covariance: NDArray) -> NDArray:
    values, axes = np.linalg.eigh(covariance)
    return (axes * np.sqrt(np.clip(values, 0, None))) @ axes.T


def _distance(mean_a: NDArray, cov_a: NDArray, root: NDArray, mean_b: NDArray, cov_b: NDArray) -> float:
    inner = np.clip(np.linalg.eigvalsh(root @ cov_b @ root), 0, None)
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(inner).sum())


def auc(reference: NDArray, window: NDArray) -> float:
    """The probability that a row of the window scores above one of the reference; ties count a half."""
    ordered = np.sort(reference)
    below = np.searchsorted(ordered, window, "left") + np.searchsorted(ordered, window, "right")
    return float(below.mean() / 2 / len(ordered))


def _mean(rows: Matrix, features: RandomFeatures | None) -> NDArray[np.float64]:
    if features is None:
        return rows.mean(axis=0, dtype=np.float64)
    return sum(features(rows[part]).sum(axis=0, dtype=np.float64) for part in chunks(len(rows))) / len(rows)


def _moments_of(rows: Matrix) -> tuple[NDArray, NDArray]:
    return rows.mean(axis=0, dtype=np.float64), np.cov(rows, rowvar=False, dtype=np.float64)
