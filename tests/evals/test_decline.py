from datetime import UTC, datetime, timedelta

from evals.decline import declined
from evals.digest_store import TrendPoint
from evals.summary import MetricSummary

START = datetime(2026, 3, 1, tzinfo=UTC)


def series(*means: float | None, reach: float = 0.05, higher: bool = True) -> list[TrendPoint]:
    """One run a day; None is a run whose interval cannot be told."""
    return [
        TrendPoint(
            f"run_{n}",
            START + timedelta(days=n),
            "t",
            "",
            MetricSummary(
                mean=mean,
                low=None if mean is None else mean - reach,
                high=None if mean is None else mean + reach,
                n=9,
                n_clusters=9,
                n_errors=0,
                higher_is_better=higher,
            ),
        )
        for n, mean in enumerate(means)
    ]


def test_a_loss_is_dated_to_the_first_run_after_the_last_better_one():
    lost = declined("f1", series(0.8, 0.9, 0.5, 0.52, 0.5))
    assert (lost.since, lost.before.run_id, lost.after.run_id) == (START + timedelta(days=2), "run_1", "run_4")
    assert round(lost.loss, 6) == 0.4


def test_a_loss_stays_told_while_the_level_is_low_and_ends_when_it_is_back():
    assert declined("f1", series(0.9, 0.5, *[0.5] * 10)) is not None
    assert declined("f1", series(0.9, 0.5, 0.9)) is None


def test_intervals_that_meet_prove_nothing():
    assert declined("f1", series(0.9, 0.81)) is None
    assert declined("f1", series(0.9, 0.79)) is not None


def test_for_some_metrics_less_is_better():
    assert declined("ms", series(20, 30, reach=1, higher=False)) is not None
    assert declined("ms", series(30, 20, reach=1, higher=False)) is None


def test_runs_without_an_interval_are_passed_over():
    lost = declined("f1", series(0.9, None, 0.5, None))
    assert (lost.before.run_id, lost.after.run_id) == ("run_0", "run_2")
    assert declined("f1", series(None)) is None
    assert declined("f1", []) is None
