import numpy as np
import pytest

from evals.statistics.variance import nested_components

NAMES = ("samples", "retriever", "generator", "judge")


def found(values, paths, names=NAMES):
    return {c.name: c.variance for c in nested_components(values, paths, names)}


def test_a_balanced_design_gives_the_textbook_mean_squares():
    """Two samples, two scores each: MS within 0.02, MS between 0.5, so (0.5 - 0.02) / 2 between samples."""
    values = [0.1, 0.3, 0.6, 0.8]
    parts = found(values, [("a",), ("a",), ("b",), ("b",)], ("samples", "judge"))
    assert parts["judge"] == pytest.approx(0.02)
    assert parts["samples"] == pytest.approx((0.25 - 0.02) / 2)


def test_components_of_an_unequal_design_are_found_again():
    rng, values, paths = np.random.default_rng(0), [], []
    for sample in range(600):
        a = rng.normal(0, 2)
        for retrieval in range(1 + sample % 3):
            b = a + rng.normal(0, 1)
            for answer in range(1 + (sample + retrieval) % 3):
                c = b + rng.normal(0, 0.5)
                for _ in range(1 + (sample + answer) % 2):
                    values.append(c + rng.normal(0, 0.3))
                    paths.append((sample, retrieval, answer))
    parts = found(values, paths)
    assert parts["samples"] == pytest.approx(4, rel=0.15)
    assert parts["retriever"] == pytest.approx(1, rel=0.2)
    assert parts["generator"] == pytest.approx(0.25, rel=0.2)
    assert parts["judge"] == pytest.approx(0.09, rel=0.2)


def test_a_level_that_was_never_repeated_is_unknown_and_not_zero():
    """The same chunks and a new answer each time, judged once: the judge's part cannot be told from the generator's."""
    rng = np.random.default_rng(1)
    values, paths = rng.normal(size=30), [(i // 3, 0, i) for i in range(30)]
    parts = found(values.tolist(), paths)
    assert (parts["retriever"], parts["judge"]) == (None, None)
    assert parts["generator"] == pytest.approx(1, rel=0.6)


def test_a_judge_that_contradicts_itself_is_told_from_a_generator_that_does():
    judge = found([0.0, 1.0, 1.0, 0.0], [(0, 0, 0), (0, 0, 0), (1, 0, 0), (1, 0, 0)])
    generator = found([0.0, 0.0, 1.0, 1.0], [(0, 0, 0), (0, 0, 0), (0, 0, 1), (0, 0, 1)])
    assert judge["judge"] == pytest.approx(0.5)
    assert judge["generator"] is None
    assert generator["judge"] == 0
    assert generator["generator"] == pytest.approx(0.5)
