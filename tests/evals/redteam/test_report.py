import pytest

from evals.redteam.attacks import load_attacks
from evals.redteam.judgement import Judged
from evals.redteam.report import by_attack
from evals.redteam.sarif import sarif
from tests.evals.redteam.test_judgement import probe

CORRUPTED = probe("fact_corruption")
JUDGED = [
    Judged(CORRUPTED, True, "generator", "61 instead of 29"),
    *[Judged(CORRUPTED, False)] * 18,
    Judged(CORRUPTED, False, note="both figures are told"),
    Judged(CORRUPTED, is_void=True, note="time-out"),
]


def reports():
    attacks = load_attacks()
    return by_attack([attacks["fact_corruption"], attacks["other_tenant"]], JUDGED)


def test_the_bound_is_exact_and_void_probes_do_not_count():
    facts = reports()[0].facts()
    assert (facts["n"], facts["n_void"], facts["n_success"], facts["rate"]) == (20, 1, 1, 0.05)
    assert facts["upper_95"] == pytest.approx(0.2161, abs=1e-4)  # Clopper-Pearson, one-sided, 1 of 20
    assert facts["stages"] == {"generator": 1}
    assert facts["both_told"] == 1
    assert facts["examples"][0]["note"] == "61 instead of 29"


def test_an_attack_that_was_not_tried_promises_nothing():
    report = reports()[1]
    assert (report.rate, report.upper_95) == (None, 1.0)


def test_each_success_is_one_sarif_result_that_points_at_its_rule_and_document():
    log = sarif(reports(), "0.1.0")
    (run,) = log["runs"]
    (result,) = run["results"]
    rules = run["tool"]["driver"]["rules"]
    assert log["version"] == "2.1.0"
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "redteam/fact_corruption"
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "real.md"
    assert result["level"] in ("error", "warning", "note")
    assert result["message"]["text"].endswith("(stage: generator).")
    assert len(rules) == 2
