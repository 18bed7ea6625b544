import os
import sys

import pytest
import yaml

from data.tabular.table_spec import TABLES
from tests.app.commands.conftest import Ran, ends_with_example


@pytest.fixture
def assay(tmp_path, monkeypatch, capfd):
    """A command of this process, in a home of its own."""
    from app.__main__ import main

    for name in [name for name in os.environ if name.startswith("ASSAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*args: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["assay", "tabular", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        captured = capfd.readouterr()
        return Ran(int(left.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def config(tmp_path):
    """A run over a small generated table, in files of its own."""
    table = (TABLES / "claims.yaml").read_text().replace("n_rows: 20000", "n_rows: 1500, n_policies: 400, n_months: 12")
    (tmp_path / "table.yaml").write_text(table)
    given = {
        "name": "mine",
        "table": "table.yaml",
        "quality": False,
        "models": [{"kind": "logistic_regression", "params": {"C": 0.05}}],
        "split": {"by": "time", "folds": 3, "test": 0.3, "groups": "shared"},
        "tracking": {"enabled": False},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(given))
    return tmp_path / "run.yaml"


@pytest.mark.parametrize("verb", ["train", "list", "demo"])
def test_help_ends_with_an_example(assay, verb):
    assert ends_with_example(assay(verb, "--help").out, f"tabular {verb}")


def test_a_config_with_mistakes_is_told_all_of_them_and_exits_with_2(assay, config):
    ran = assay("train", config, "split.folds=1", "model=xgboost")
    assert ran.code == 2
    assert "has 2 errors" in ran.err
    assert "split.folds: 1 is not allowed" in ran.err
    assert "model: there is no such field. Rename it to `models`" in ran.err


def test_without_a_model_the_list_says_so_and_names_the_configs(assay):
    ran = assay("list")
    assert "No model is saved yet" in ran.out
    assert "carclaims" in ran.out


@pytest.mark.slow
def test_from_a_config_to_a_listed_model(assay, config):
    ran = assay("train", config, "models.0.params.C=0.1", "--json")
    assert ran.code == 0
    told = ran.json
    assert told["ref"] == "mine@1"
    assert told["provenance"]["params"]["C"] == 0.1
    value, low, high = told["metrics"]["roc_auc"]
    assert low < value < high
    listed = assay("list", "--json").json["models"]
    assert [(one["ref"], one["kind"]) for one in listed] == [("mine@1", "logistic_regression")]
    assert listed[0]["metrics"]["roc_auc"] == value
    shown = assay("train", config)
    assert "mine@2: logistic_regression" in shown.out
    assert "roc_auc" in shown.out


@pytest.mark.slow
def test_a_table_that_is_refused_exits_with_1_and_says_why(assay, config):
    strict = {"required": True, "max_difference": 0.0, "impact": [1.0, 1.0]}
    given = yaml.safe_load(config.read_text()) | {"fairness": strict}
    config.write_text(yaml.safe_dump(given))
    ran = assay("train", config)
    assert ran.code == 1
    assert "is fair enough" in ran.err
