"""`assay drift` over a table of one's own: a file, a spec and a watch."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.evals.drift.tabled import SPEC, people

pytestmark = pytest.mark.slow

MONTHS = pd.date_range("2026-01-01", periods=6, freq="MS")
N_A_MONTH = 400


@pytest.fixture
def folder(tmp_path) -> Path:
    """Six months of people; in the last one they are old, and the model guesses. `watch.yaml` has three as reference."""
    months = [people(N_A_MONTH, at, older=0.6 if at == 5 else 0) for at in range(len(MONTHS))]
    table = pd.concat(months, ignore_index=True).assign(
        id=np.arange(N_A_MONTH * len(MONTHS)), month=np.repeat(MONTHS, N_A_MONTH)
    )
    table.to_csv(tmp_path / "people.csv", index=False)
    spec = SPEC.model_dump(mode="json", exclude_defaults=True)
    spec |= {"source": {"kind": "csv", "paths": ["people.csv"]}, "id": "id", "time": "month"}
    spec["columns"] |= {"id": {"kind": "integer", "is_feature": False}, "month": {"kind": "date", "is_feature": False}}
    (tmp_path / "people.yaml").write_text(yaml.safe_dump(spec))
    return tmp_path


@pytest.fixture
def watch(folder):
    def write(**changes) -> Path:
        given = {
            "name": "people",
            "kind": "tabular",
            "table": "people.yaml",
            "score": "score",
            "evidently": False,
            "reference": {"until": "2026-04-01"},
            "current": {"since": "2026-06-01"},
        }
        path = folder / "watch.yaml"
        path.write_text(yaml.safe_dump(given | changes))
        return path

    return write


def test_a_month_like_the_others_is_quiet_and_one_that_drifted_names_the_column_and_what_it_costs(run, watch):
    quiet = run("drift", "check", watch(current={"since": "2026-04-01", "until": "2026-05-01"}), "--json")
    assert quiet.code == 0, quiet.err
    loud = run("drift", "check", watch(), "--json")
    assert loud.code == 1, loud.err
    assert {v["monitor"] for v in loud.json["values"] if v["is_alarm"]} >= {"column.age"}
    assert not any("job" in v["monitor"] for v in loud.json["values"] if v["is_alarm"])
    assert "age" in loud.json["causes"][0]["told"]
    assert loud.json["causes"][0]["harm"] > 0.05  # of its accuracy
    assert loud.json["harm"] >= max(cause["harm"] for cause in loud.json["causes"]), (
        "all that was lost, explained or not"
    )


def test_confirming_writes_the_rows_at_fault(run, watch, tmp_path):
    opened = run("drift", "check", watch(), "--json").json["alarm"]["id"]
    confirmed = run("drift", "confirm", opened, watch(), "--suites", tmp_path / "generated", "--json")
    assert confirmed.code == 0, confirmed.err
    assert Path(confirmed.json["path"]).exists()


def test_a_replay_walks_the_months_or_so_many_rows(run, watch):
    given = watch(current={"since": "2026-04-01"}, window={"days": 30})
    by_days = run("drift", "replay", given, "--from", "2026-04-01", "--to", "2026-07-01", "--json").json
    assert [row["outcome"] for row in by_days] == ["quiet", "quiet", "alarm"]
    given = watch(current={"since": "2026-04-01"}, window={"rows": N_A_MONTH, "days": 30})
    by_rows = run("drift", "replay", given, "--from", "2026-04-01", "--to", "2026-07-01", "--json").json
    assert [row["outcome"] for row in by_rows] == ["quiet", "quiet", "alarm"]


def test_too_few_rows_exit_3_and_a_column_that_is_not_there_2(run, watch):
    few = run("drift", "check", watch(current={"rows": [0, 5]}))
    assert few.code == 3, few.out + few.err
    wrong = run("drift", "check", watch(ignore=["salary"]))
    assert wrong.code == 2
    assert "ignore: 'salary'" in wrong.err
    assert "There are: age" in wrong.err
