"""assay tabular evaluate, fairness, explain, performance: over small models that are written down, so that what is right is known."""

import json
import os
import sys

import pandas as pd
import pytest

from data.tabular.model_files import load_model
from tests.app.commands.conftest import Ran, ends_with_example
from tests.app.commands.loan_models import keep_served, rows, saved, table

SHAP = "ignore:The set_:PendingDeprecationWarning"  # its colours, at import


@pytest.fixture
def assay(tmp_path, monkeypatch, capfd):
    """A command of this process, without the product that answers questions."""
    from app.__main__ import main

    for name in [name for name in os.environ if name.startswith("ASSAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "250")

    def call(*args: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["assay", "tabular", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        captured = capfd.readouterr()
        return Ran(int(left.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def spec(tmp_path):
    return table(tmp_path, rows(500, 2021, 1), rows(500, 2022, 2, concept=-1.0))


@pytest.fixture
def fair(tmp_path, spec):
    return saved(tmp_path, spec, "1")


@pytest.fixture
def unfair(tmp_path, spec):
    return saved(tmp_path, spec, "2", sex=2.5)


@pytest.mark.parametrize("verb", ["evaluate", "fairness", "explain", "performance"])
def test_help_ends_with_an_example(assay, verb):
    assert ends_with_example(assay(verb, "--help").out, f"tabular {verb}")


def test_a_sound_model_is_measured_by_segment_and_behaves(assay, fair):
    ran = assay("evaluate", fair, "--monotone", "income=up", "--resamples", 60, "--json")
    assert ran.code == 0, ran.err
    value, low, high = ran.json["metrics"]["roc_auc"]
    assert 0.7 < low < value < high < 0.87
    assert [one["value"] for one in ran.json["segments"]] == ["f", "m"]
    assert {one["name"] for one in ran.json["behaviour"]} >= {"determinism", "income up", "invariance to sex"}
    assert "roc_auc" in assay("evaluate", fair, "--resamples", 60).out


def test_a_model_that_decides_by_sex_fails_its_behaviour(assay, unfair):
    ran = assay("evaluate", unfair, "--resamples", 60, "--segment", "sex")
    assert ran.code == 1
    assert "FAILS" in ran.out


def test_wrong_directions_and_columns_are_told(assay, fair):
    assert "Write --monotone" in assay("evaluate", fair, "--monotone", "income").err
    ran = assay("evaluate", fair, "--segment", "town", "--resamples", 60)
    assert ran.code == 2
    assert "There are: year, income" in ran.err


def test_the_best_fair_model_is_chosen_and_the_other_refused(assay, fair, unfair):
    ran = assay("fairness", fair, unfair, "--no-check", "--json")
    assert ran.code == 0
    assert ran.json["chosen"] == "loans@1"
    verdicts = {one["model"]: one["attributes"][0]["passes"] for one in ran.json["models"]}
    assert verdicts == {"loans@1": True, "loans@2": False}
    assert "loans@1 is the best that is fair enough" in assay("fairness", fair, unfair, "--no-check").out


def test_where_no_model_is_fair_the_command_fails_and_names_the_closest(assay, unfair):
    ran = assay("fairness", unfair, "--no-check", "--mitigate")
    assert ran.code == 1
    assert "FairnessViolation: None of 1 models is fair enough; loans@2 comes closest." in ran.out
    assert "sex: with thresholds" in ran.out
    facts = assay("fairness", unfair, "--no-check", "--mitigate", "--json").json
    assert facts["models"][0]["mitigation"][0]["passes"] == [False, True]
    assert facts["closest"] == "loans@2"


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning"
)  # aif360's and fairlearn's, at import
def test_figures_are_those_of_aif360_and_fairlearn(assay, unfair):
    ran = assay("fairness", unfair, "--json")
    assert ran.json["models"][0]["agreement"]["sex"] <= 1e-9


def test_groups_too_small_decide_nothing(assay, fair):
    ran = assay("fairness", fair, "--no-check", "--min-rows", 5000)
    assert ran.code == 1
    assert "fewer than 5000" in ran.out
    assert "too small" in ran.out


def test_one_row_is_explained_by_its_columns(assay, fair):
    row = {"income": 1.0, "amount": 0.5, "sex": "m"}
    found = assay("explain", fair, "--row", json.dumps(row), "--json").json
    assert found["score"] == pytest.approx(1 / (1 + 2.718281828 ** -(1.2 - 0.4)), abs=1e-6)
    assert found["base"] + sum(found["contributions"].values()) + found["calibration"] == pytest.approx(
        found["log_odds"]
    )
    assert next(iter(found["contributions"])) == "income"
    shown = assay("explain", fair, "--at", 3)
    assert "before anything is known" in shown.out
    assert "Count from 0" in assay("explain", fair, "--at", 999_999).err
    assert "not JSON" in assay("explain", fair, "--row", "{").err


def test_why_groups_differ_is_told_by_column(assay, unfair):
    found = assay("explain", unfair, "--groups", "sex", "--no-draw", "--json").json
    value, low, high = found["groups"]["sex"]["contributions"]["sex"]
    assert value == pytest.approx(2.5, abs=1e-6)
    assert low <= value <= high
    assert next(iter(found["importance"])) in ("sex", "income")
    assert assay("explain", unfair, "--groups", "income", "--no-draw").code == 2


@pytest.mark.slow
@pytest.mark.filterwarnings(SHAP)
def test_pictures_of_the_model_are_drawn(assay, fair, tmp_path):
    ran = assay("explain", fair, "--groups", "sex", "--pictures", tmp_path / "seen")
    assert ran.code == 0, ran.err
    assert {path.name for path in (tmp_path / "seen").iterdir()} == {"beeswarm.png", "bar.png", "groups-sex.png"}


@pytest.mark.slow
def test_periods_are_held_against_the_baseline_and_the_broken_assumption_is_named(assay, fair):
    ran = assay("performance", fair, "--json")
    assert ran.code == 1
    good, turned = ran.json["periods"]
    assert [good["period"], turned["period"]] == ["2021", "2022"]
    assert good["concept"]["verdict"] in ("holds", "not refuted")
    assert turned["concept"]["verdict"] == "breaks"
    assert turned["changes"]["roc_auc"]["verdict"] == "worse"
    assert abs(good["estimated"]["roc_auc"][0] - good["realised"]["roc_auc"]) < 0.05
    assert turned["estimated"]["roc_auc"][0] - turned["realised"]["roc_auc"] > 0.3


@pytest.mark.slow
def test_before_labels_come_the_estimate_stands_alone_with_its_assumptions(assay, fair):
    ran = assay("performance", fair, "--as-of", "2021", "--no-shift")
    assert ran.code == 0
    assert "not tested" in ran.out
    assert "no concept shift" in ran.out
    facts = assay("performance", fair, "--as-of", "2021", "--no-shift", "--json").json
    assert facts["periods"][1]["labelled"] == 0
    assert facts["periods"][1]["realised"] is None
    assert facts["mean_absolute_error"] < 0.05


@pytest.mark.slow
def test_served_scores_are_joined_by_id(assay, fair, spec, tmp_path):
    scored = pd.DataFrame({"loan": rows(500, 2021, 1)["loan"].head(400), "score": 0.5})
    scored.to_csv(tmp_path / "scored.csv", index=False)
    ran = assay("performance", fair, "--predictions", tmp_path / "scored.csv", "--no-shift", "--json")
    assert ran.json["joined"].startswith("400 of 1000 rows of the table were scored")
    assert ran.json["periods"][0]["realised"]["roc_auc"] == 0.5  # what was served, not what the model would say now
    wrong = assay("performance", fair, "--predictions", tmp_path / "scored.csv", "--score-column", "p")
    assert wrong.code == 2
    assert "has no column p" in wrong.err


@pytest.mark.slow
def test_predictions_that_were_served_are_watched_with_the_labels_sent_since(assay, fair, tmp_path):
    nothing = assay("performance", fair, "--served", "--no-shift")
    assert nothing.code == 2
    assert "No prediction of loans@1 was kept" in nothing.err
    keep_served(tmp_path / "home" / "var" / "assay.db", load_model(fair), rows(300, 2021, 5))
    found = assay("performance", fair, "--served", "--no-shift", "--json").json["periods"]
    assert [(one["period"], one["rows"], one["labelled"]) for one in found] == [
        ("2026-01", 150, 150),
        ("2026-02", 150, 0),
    ]
    assert abs(found[0]["realised"]["roc_auc"] - found[0]["estimated"]["roc_auc"][0]) < 0.1
    assert found[1]["realised"] is None
