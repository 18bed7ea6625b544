import json

import pytest

from data.errors import InvalidInput, NotFound
from tests.app.commands.tabular_commands import run
from tests.databases import put_schema
from tests.serving.tabular.stores import put_model

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path):
    put_schema(tmp_path / "var" / "assay.db")
    root = tmp_path / "var" / "tabular" / "models"
    put_model(root, "1", n=400)
    put_model(root, "2", n=400, threshold=0.41)
    assert run(tmp_path, "alias", "loans", "champion", "1").exit_code == 0
    assert run(tmp_path, "alias", "loans", "challenger", "2").exit_code == 0
    return tmp_path


def test_a_version_reaches_users_through_gate_and_trial(home):
    refused = run(home, "release", "loans", "--stage", "canary")
    assert refused.exit_code == 1
    assert "no passing verdict" in refused.output
    judged = json.loads(run(home, "gate", "loans", "--json").stdout)
    assert (judged["outcome"], judged["version"], judged["detail"]["champion"]) == ("pass", "2", "loans@1")
    begun = run(home, "release", "loans", "--stage", "canary", "--share", "0.3", "--why", "quieter")
    assert begun.exit_code == 0, begun.output
    assert "loans@2 is on trial as canary" in begun.stdout
    assert isinstance(run(home, "release", "loans").exception, InvalidInput)  # one trial at a time


def test_the_size_of_an_ab_test_is_stated_first(home):
    words = ("release", "loans", "--plan", "--lift", "0.02", "--expect", "0.12", "--base", "0.2", "--share", "0.5")
    told = json.loads(run(home, *words, "--json").stdout)
    assert told["n_median"] < told["n_units"]
    assert told["n_candidate"] * 2 == pytest.approx(told["n_units"], abs=2)
    assert f"ends after {told['n_units']} requests" in run(home, *words).stdout
    assert isinstance(run(home, "release", "loans", "--lift", "0.3", "--expect", "0.1").exception, InvalidInput)
    assert isinstance(run(home, "release", "loans", "--lift", "0.1", "--metric", "slow").exception, InvalidInput)


def test_unknown_versions_stages_and_aliases_are_wrong_use(home):
    assert isinstance(run(home, "gate", "loans@9").exception, NotFound)
    assert isinstance(run(home, "release", "loans", "--stage", "champion").exception, InvalidInput)
    assert isinstance(run(home, "alias", "loans", "champion", "9").exception, NotFound)
