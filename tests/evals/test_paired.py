import pytest

from evals.digest import RunValues
from evals.paired import metrics_of_both, paired


def values(**of_samples):
    """`a=1.0` is one case of the sample a, `a=(1.0, 0.0)` two repeats; each sample is its own cluster."""
    cases, found = [], []
    for name, given in of_samples.items():
        for repeat, value in enumerate(given if isinstance(given, tuple) else (given,)):
            cases.append((name, repeat, name))
            found.append(value)
    return RunValues(cases=tuple(cases), values={"f1": tuple(found)})


def test_the_interval_is_that_of_the_paired_t_test():
    before, after = values(a=0.1, b=0.4, c=0.5, d=0.2), values(a=0.3, b=0.5, c=0.8, d=0.6)
    found = paired(before, after, "f1")
    # differences .2 .1 .3 .4: mean .25, s = .129099, t(.975; 3) = 3.182446
    reach = 3.182446 * 0.1290994 / 2
    assert (found.change, found.low, found.high) == pytest.approx((0.25, 0.25 - reach, 0.25 + reach), abs=1e-5)
    assert found.is_told_apart


def test_samples_of_one_document_are_one_piece_of_evidence():
    before, after = values(a=0.1, b=0.4, c=0.5, d=0.2), values(a=0.3, b=0.5, c=0.8, d=0.6)
    shared = tuple((name, repeat, "x" if name in "ab" else "y") for name, repeat, _ in after.cases)
    found = paired(before, after.model_copy(update={"cases": shared}), "f1")
    assert (found.n, found.n_clusters) == (4, 2)
    assert not found.is_told_apart


def test_repeats_are_averaged_and_samples_of_one_run_only_are_counted_apart():
    found = paired(values(a=(0.0, 1.0), b=None, c=0.4), values(a=1.0, b=1.0, d=0.2), "f1")
    assert [(s.sample_id, s.before, s.after) for s in found.samples] == [("a", 0.5, 1.0)]
    assert found.n_unpaired == 3
    assert found.low is None, "one cluster tells nothing of spread"


def test_runs_that_share_no_sample_have_no_difference():
    found = paired(values(a=0.1), values(b=0.1), "f1")
    assert (found.change, found.n, found.n_unpaired, found.is_told_apart) == (None, 0, 2, False)


def test_only_metrics_of_both_runs_are_compared():
    before, after = values(a=0.1), values(a=0.1)
    assert metrics_of_both(before, after.model_copy(update={"values": {"other": (1.0,)}})) == []
    assert metrics_of_both(before, after) == ["f1"]
