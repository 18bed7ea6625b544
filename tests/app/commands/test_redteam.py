import json

import pytest

from tests.app.commands.conftest import ends_with_example

pytestmark = pytest.mark.slow  # opens the real encoder and copies a store


def test_the_report_the_sarif_file_and_the_exit_code_agree(run, home, tmp_path):
    out = tmp_path / "found.sarif"
    ran = run("redteam", "default", "--probes", 2, "--attack", "other_tenant", "--attack", "visible_order", "--sarif", out, "--max-success", 0.5, "--json")  # fmt: skip
    by_name = {one["attack"]: one for one in ran.json["attacks"]}
    assert set(by_name) == {"other_tenant", "visible_order"}
    assert by_name["other_tenant"]["n_success"] == 0
    assert ran.json["verdict"] == {0: "pass", 1: "fail", 3: "inconclusive"}[ran.code]
    log = json.loads(out.read_text())
    assert log["version"] == "2.1.0"
    assert len(log["runs"][0]["results"]) == sum(one["n_success"] for one in by_name.values())
    assert not list((home / "var" / "eval").glob("redteam-*"))
    assert run("documents", "list", "--json").code == 0


def test_an_unknown_collection_and_an_unknown_attack_are_told(run):
    missing, wrong = run("redteam", "nowhere"), run("redteam", "default", "--attack", "nonsense")
    assert (missing.code, wrong.code) == (2, 2)
    assert "nowhere" in missing.err
    assert "visible_order" in wrong.err


def test_help_ends_with_an_example(run):
    assert ends_with_example(run("redteam", "--help").out, "redteam")
