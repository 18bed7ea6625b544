from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from evals.drift.tabular import TableBaseline
from tests.evals.drift.tabled import SPEC, people, watch

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def baseline():
    return TableBaseline(watch(), SPEC, people(4000, 0))


def alarms(baseline, window):
    return {value.monitor for value in baseline.compare(window, NOW) if value.is_alarm}


def test_every_monitor_takes_its_part_of_the_budget(baseline):
    assert set(baseline.monitors) == {
        "column.age",
        "column.hours",
        "column.job",
        "missing.age",
        "new.job",
        "new.yes",
        "prediction",
        "target",
        "multivariate.classifier",
        "multivariate.reconstruction",
    }
    assert baseline.allowance.alpha * len(baseline.monitors) * 30 / 7 == pytest.approx(1)


def test_rows_like_the_reference_are_quiet(baseline):
    assert alarms(baseline, people(1500, 1)) == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"hours": 4}, {"column.hours", "multivariate.classifier"}),
        ({"new_job": 0.1}, {"new.job"}),
        ({"missing": 0.2}, {"missing.age"}),
        ({"older": 0.5}, {"column.age", "prediction"}),
    ],
)
def test_each_kind_of_drift_has_its_monitor(baseline, change, expected):
    assert expected <= alarms(baseline, people(1500, 2, **change))


def test_a_column_that_goes_and_one_that_comes_are_a_change_of_schema(baseline):
    window = people(500, 3).drop(columns="hours").assign(height=1.8)
    found = {value.monitor: value for value in baseline.compare(window, NOW)}
    assert found["schema"].is_alarm
    assert found["schema"].detail == {"gone": ["hours"], "unknown": ["height"]}
    assert "column.hours" not in found


def test_columns_that_only_move_together_are_found_by_looking_at_them_together():
    rng = np.random.default_rng(0)

    def rows(n, correlated):
        age = rng.uniform(20, 70, n)
        hours = (age - 45) / 4 + 40 if correlated else rng.permutation((age - 45) / 4 + 40)
        return people(n, 4).assign(age=age, hours=hours + 0.1 * rng.standard_normal(n))

    baseline = TableBaseline(watch(), SPEC, rows(4000, True))
    found = alarms(baseline, rows(1500, False))
    assert "multivariate.reconstruction" in found
    assert not found & {"column.age", "column.hours"}


def test_labels_that_are_still_to_come_are_no_drift(baseline):
    window = people(800, 5)
    window["yes"] = pd.array([pd.NA] * len(window), dtype="boolean")
    assert not alarms(baseline, window) & {"target", "missing.yes"}


def test_every_effect_is_told_beside_the_one_that_decides(baseline):
    value = next(v for v in baseline.compare(people(900, 6, hours=4), NOW) if v.monitor == "column.hours")
    assert set(value.detail) == {"effect", "psi", "js_distance", "cramers_v", "ks", "wasserstein"}
    assert value.low < value.value < value.high
    assert value.detail["wasserstein"] == pytest.approx(0.8, abs=0.08)


def test_volume_alarms_only_where_a_least_number_is_named():
    few = people(100, 7)
    assert "volume" not in alarms(TableBaseline(watch(), SPEC, people(2000, 0)), few)
    assert "volume" in alarms(TableBaseline(watch(least={"volume": 500}), SPEC, people(2000, 0)), few)


def test_the_rows_least_like_the_reference_come_first(baseline):
    window = people(500, 8)
    window.loc[7, "hours"] = 400.0
    strange = window.assign(job=window["job"].cat.add_categories("pilot"))
    assert len(baseline.unlike(strange, 20)) == 20
