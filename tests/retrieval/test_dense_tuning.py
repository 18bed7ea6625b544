import numpy as np
import pytest

from retrieval.dense_tuning import exact_thresholds, made_up_questions, recall, tune

AXES = np.eye(4, dtype=np.float32)


def test_made_up_questions_lie_halfway_between_two_rows() -> None:
    questions = made_up_questions(AXES[:2].astype(np.float16), 200, np.random.default_rng(0))
    assert questions.shape == (200, 4)
    np.testing.assert_allclose(np.linalg.norm(questions, axis=1), 1, atol=1e-6)
    between = np.abs(questions[:, 0] - questions[:, 1]) < 1e-6
    assert 0.3 < between.mean() < 0.7  # the others drew one row twice
    np.testing.assert_allclose(questions[between, 0], np.sqrt(0.5), atol=1e-6)


def test_opposite_rows_make_a_question_without_a_division_by_zero() -> None:
    opposite = np.array([[1, 0], [-1, 0]], np.float32)
    assert np.isfinite(made_up_questions(opposite, 50, np.random.default_rng(0))).all()


def test_the_threshold_is_the_inner_product_with_the_last_of_the_nearest_rows() -> None:
    rows = np.array([[0.1], [0.9], [0.5], [0.7]], np.float32)
    np.testing.assert_allclose(exact_thresholds(rows, np.array([[1.0], [2.0]], np.float32), depth=3), [0.5, 1.0])


def test_thresholds_do_not_depend_on_how_rows_fall_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    rows, queries = random.normal(size=(1000, 8)).astype(np.float32), random.normal(size=(20, 8)).astype(np.float32)
    by_hand = np.sort(queries @ rows.T, axis=1)[:, -10]
    for block in (7, 64, 5000):
        monkeypatch.setattr("retrieval.dense_tuning.BLOCK", block)
        np.testing.assert_allclose(exact_thresholds(rows, queries), by_hand, atol=1e-5)


def test_recall_is_the_share_of_the_nearest_that_is_found() -> None:
    queries, thresholds = AXES[:2], np.array([0.5, 0.5], np.float32)
    found = {0: [0.9, 0.8, 0.1], 1: [0.5, 0.4, 0.3]}  # of three nearest: two, and one that ties with the last
    answers = iter(found.values())
    assert recall(lambda query, n_probe: np.array(next(answers)), 1, queries, thresholds, depth=3) == pytest.approx(
        (2 + 1) / 6
    )


def test_recall_counts_nothing_beyond_the_depth() -> None:
    everything = np.ones(100, np.float32)
    assert recall(lambda query, n_probe: everything, 1, AXES, np.zeros(4, np.float32)) == 1.0


def test_the_fewest_lists_that_reach_the_target_are_chosen() -> None:
    def search(query: np.ndarray, n_probe: int) -> np.ndarray:
        return np.where(np.arange(10) < n_probe, 1.0, 0.0)  # each list holds one more of the ten nearest

    tuned = tune(search, AXES, np.full(4, 0.5, np.float32), n_lists=64, target=0.65)
    assert (tuned.n_probe, tuned.recall) == (7, 0.7)


def test_many_lists_are_tuned_to_within_a_few_percent_in_few_measurements() -> None:
    measured: list[int] = []

    def search(query: np.ndarray, n_probe: int) -> np.ndarray:
        measured.append(n_probe)
        return np.ones(10) if n_probe >= 700 else np.zeros(10)

    tuned = tune(search, AXES, np.full(4, 0.5, np.float32), n_lists=4096, target=0.9)
    assert 700 <= tuned.n_probe <= 700 * 33 / 32
    assert len(set(measured)) < 20


def test_an_unreachable_target_ends_with_every_list_and_the_recall_it_has() -> None:
    tuned = tune(lambda query, n_probe: np.array([1.0]), AXES, np.full(4, 0.5, np.float32), n_lists=20, target=0.9)
    assert (tuned.n_probe, tuned.recall) == (20, 0.1)
