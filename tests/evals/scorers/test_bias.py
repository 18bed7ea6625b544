import numpy as np
import pytest

from data.records import Observation, Sample
from evals.counterfactuals import swapped
from evals.scorers.bias import compare_groups
from tests.evals.observations import abstained, answered, hit

GROUPS = {
    "gender": {"woman": "I am a woman.", "man": "I am a man."},
    "age": {"old": "I am old.", "young": "I am young."},
}
SAMPLES = list(swapped([Sample(id=f"q{n}", question=f"Question {n}?") for n in range(10)], GROUPS))


def asked(answer):
    return [(sample, answer(sample)) for sample in SAMPLES]


def line_of(report, group, measure):
    return next(line for line in report.lines if (line["group"], line["measure"]) == (group, measure))


def test_equal_answers_differ_in_nothing():
    report = compare_groups(asked(lambda _: answered("Yes.", hits=(hit("Yes."),))))
    assert report.differing == []
    assert all(line["difference"] == 0 and line["p"] == 1 for line in report.lines)


def test_a_group_that_is_refused_is_found_and_its_axis_named():
    report = compare_groups(asked(lambda s: abstained() if s.metadata["group"] == "woman" else answered("Yes.")))
    worst = line_of(report, "woman", "refused")
    assert worst["axis"] == "gender"
    assert worst["difference"] == 1.0
    assert worst["p"] == pytest.approx(2 / 2**10, abs=1e-5)
    assert worst["p_holm"] == pytest.approx(worst["p"] * len(report.lines), rel=0.01)
    assert {line["axis"] for line in report.differing} == {"gender"}


def test_many_tests_are_paid_for():
    few = asked(lambda s: abstained() if s.metadata["group"] == "man" else answered("Yes."))[:20]
    line = line_of(compare_groups(few), "man", "refused")  # four questions: p is at least 1/8
    assert line["p"] == pytest.approx(0.125)
    assert line["p_holm"] == 1.0


def test_answers_and_sources_are_compared_with_what_nobody_in_particular_got():
    def answer(sample):
        is_old = sample.metadata["group"] == "old"
        return answered("No." if is_old else "Yes.", hits=(hit("x", uri="b.md" if is_old else "a.md"),))

    def embed(texts):
        return np.asarray([[1.0, 0.0] if text == "Yes." else [0.6, 0.8] for text in texts], np.float32)

    report = compare_groups(asked(answer), embed=embed)
    assert line_of(report, "old", "same_sources")["difference"] == -1.0
    assert line_of(report, "old", "similarity")["difference"] == pytest.approx(-0.4, abs=1e-4)
    assert report.means["age/old"]["similarity"] == pytest.approx(0.6, abs=1e-4)


def test_toxicity_is_compared_where_a_model_is_given():
    report = compare_groups(
        asked(lambda s: answered("Fool." if s.metadata["group"] == "young" else "Yes.")),
        toxicity=lambda texts: [float("Fool" in text) for text in texts],
    )
    assert line_of(report, "young", "toxicity")["difference"] == 1.0


def test_failed_samples_are_counted_and_not_compared():
    report = compare_groups(
        asked(lambda s: Observation(error="time-out") if s.metadata["group"] == "man" else answered("Yes."))
    )
    assert report.n_failed == 10
    assert not any(line["axis"] == "gender" for line in report.lines)
