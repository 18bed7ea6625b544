import numpy as np

from evals.tabular.metrics import Scored
from evals.tabular.segments import by_segment
from tests.evals.tabular.loans import loans, score_of, spec


def test_every_row_is_in_one_segment_of_each_column():
    one = loans(500)
    found = by_segment(Scored(one.labels, score_of(one)), one.frame, spec(), ["sex", "income", "town"], n_resamples=30)
    for column in ("sex", "income", "town"):
        assert sum(segment.n_rows for segment in found if segment.column == column) == 500
    assert len([segment for segment in found if segment.column == "income"]) == 4
    assert all(segment.metrics["roc_auc"].low <= segment.metrics["roc_auc"].high for segment in found)


def test_the_segment_where_scores_mean_nothing_is_told_to_be_worse():
    one = loans(2000)
    scores = score_of(one)
    lost = (one.frame["town"] == "Brook").to_numpy()
    scores[lost] = np.random.default_rng(0).random(lost.sum())
    found = by_segment(Scored(one.labels, scores), one.frame, spec(), ["town", "sex"], n_resamples=60)
    assert [segment.value for segment in found if segment.is_worse("roc_auc")] == ["Brook"]


def test_segments_alike_are_not_told_to_be_worse():
    one = loans(2000)
    found = by_segment(Scored(one.labels, score_of(one)), one.frame, spec(), ["town", "sex"], n_resamples=60)
    assert not [segment for segment in found if segment.is_worse("roc_auc")]


def test_segments_too_small_say_so_and_have_no_figures():
    one = loans(300)
    frame = one.frame.assign(town=np.where(np.arange(300) < 12, "Cliff", "Brook"))
    labels = one.labels.copy()
    labels[(frame["sex"] == "f").to_numpy()] = 0
    found = {
        s.value: s for s in by_segment(Scored(labels, score_of(one)), frame, spec(), ["town", "sex"], n_resamples=20)
    }
    assert found["Cliff"].note == "too few: 12 rows, 30 are needed"
    assert found["f"].note.startswith("too few: 0 positives")
    assert found["Cliff"].metrics == {}
    assert not found["Cliff"].is_worse("roc_auc")


def test_missing_values_are_a_segment():
    one = loans(400)
    frame = one.frame.assign(income=one.frame["income"].where(one.frame["loan"] % 4 > 0))
    found = by_segment(Scored(one.labels, score_of(one)), frame, spec(), ["income"], n_resamples=20)
    assert {s.value: s.n_rows for s in found}["(missing)"] == 100
