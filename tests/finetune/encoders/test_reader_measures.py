import numpy as np
import pytest

from finetune.encoders.reader_measures import Read, less_missing, reader_metrics, reader_missing, reader_slope


def reads(slope, threshold, n=4000):
    """Rows whose spans are right with probability sigmoid(slope * (score - threshold))."""
    rng = np.random.default_rng(2)
    out = []
    for i in range(n):
        score = float(rng.normal(threshold, 3))
        is_right = rng.random() < 1 / (1 + np.exp(-slope * (score - threshold)))
        golds = ("oslo",) if is_right or i % 2 else ()
        out.append(Read(str(i), f"article {i % 20}", "oslo" if is_right else "lima", score, golds, "given"))
    return out


@pytest.mark.parametrize("slope", [0.3, 1.0, 2.0])
def test_the_slope_is_the_one_that_made_the_rows(slope):
    assert reader_slope(reads(slope, threshold=1.5), 1.5) == pytest.approx(slope, rel=0.1)


def test_rows_that_cannot_tell_leave_the_slope_at_one():
    assert reader_slope([], 0.0) == 1.0
    all_right = [Read("1", "a", "oslo", 2.0, ("oslo",), "given")] * 3
    assert reader_slope(all_right, 2.0) == 1.0


def lacking(n=400):
    """Score and missing names both tell: a missing name is worth three of the score."""
    rng = np.random.default_rng(3)
    out = []
    for i in range(n):
        score, names = float(rng.normal(0, 2)), float(rng.integers(0, 3))
        golds = ("oslo",) if rng.random() < 1 / (1 + np.exp(3 * names - 3 - score)) else ()
        out.append(Read(str(i), f"article {i % 8}", "oslo", score, golds, "given", (0.0, names, 0.0, 0.0)))
    return out


def test_what_is_missing_is_weighed_in_units_of_the_score():
    worth = reader_missing(lacking(4000))
    assert worth["names"] == pytest.approx(3, rel=0.1)
    assert worth["words"] == worth["numbers"] == worth["opposites"] == 0


def test_rows_without_unanswerable_questions_weigh_nothing():
    assert reader_missing([read for read in lacking() if read.golds]) == {}
    assert reader_missing([]) == {}


def test_scores_lose_what_is_missing_and_figures_are_those_of_the_other_half():
    rows = lacking()
    assert less_missing(rows[:1], {"names": 2.0})[0].score == rows[0].score - 2 * rows[0].lacks[1]
    plain = [Read(r.row, r.group, r.answer, r.score, r.golds, r.made) for r in rows]
    assert reader_metrics(rows)["f1_overall"].value > reader_metrics(plain)["f1_overall"].value + 0.05
