import json

import pytest

from evals.conclusion import Conclusion
from evals.reports.sarif import to_sarif
from tests.evals.reports.reported import nasty_report, report_of

URI = "evals/suites/handbook.yaml"


def run_of(report):
    (run,) = json.loads(to_sarif(report, URI, "0.1.0"))["runs"]
    return run


@pytest.mark.parametrize("conclusion", list(Conclusion))
def test_the_invocation_has_the_exit_code(conclusion):
    (invocation,) = run_of(report_of(conclusion))["invocations"]
    assert invocation["exitCode"] == conclusion.exit_code
    assert invocation["executionSuccessful"] == (conclusion is not Conclusion.INFRASTRUCTURE)


@pytest.mark.parametrize("conclusion", list(Conclusion))
def test_it_has_what_the_standard_requires(conclusion):
    """SARIF 2.1.0: version (3.13.2), runs with a tool (3.14.6), results with a message (3.27.11), levels and kinds (3.27.9, 3.27.10)."""
    log = json.loads(to_sarif(report_of(conclusion), URI))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["tool"]["driver"]["name"] == "assay gate"
    known = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    for result in run["results"]:
        assert result["message"]["text"]
        assert result["ruleId"] in known
        assert result["level"] in {"none", "note", "warning", "error"}
        assert result["kind"] == "fail" or result["level"] == "none"
        (place,) = result["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"] == URI


def test_only_what_failed_is_an_error():
    levels = {r["ruleId"]: r["level"] for r in run_of(report_of(Conclusion.FAIL))["results"]}
    assert levels == {"gate/quality": "error", "gate/safe": "none"}
    broken = run_of(report_of(Conclusion.INFRASTRUCTURE))["results"]
    assert [r["ruleId"] for r in broken] == ["gate/errors"]


def test_words_of_models_do_not_break_it():
    assert run_of(nasty_report())["results"]
