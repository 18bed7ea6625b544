"""SARIF 2.1.0, one result a gate that did not pass: code scanning shows them on the pull request.

OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0" (2020); required properties of sections 3.13, 3.14, 3.27.
"""

import json
from typing import Any

from data.records import Outcome
from evals.conclusion import Conclusion
from evals.gate_report import GateReading, GateReport
from evals.reports.markdown import MEANING

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Outcome.PASS: "none", Outcome.FAIL: "error", Outcome.INCONCLUSIVE: "warning"}
KINDS = {Outcome.PASS: "pass", Outcome.FAIL: "fail", Outcome.INCONCLUSIVE: "fail"}
"""Any kind but `fail` must have the level `none` (3.27.10), and would not be shown: inconclusive is a warning."""


def to_sarif(report: GateReport, suite_uri: str, version: str = "") -> str:
    """`suite_uri` is the suite's YAML relative to the repository: where each result is shown."""
    results = [_result(gate, suite_uri) for gate in report.gates]
    if report.conclusion is Conclusion.INFRASTRUCTURE:
        results = [_broken(report, suite_uri)]
    rules = [_rule(gate) for gate in report.gates] + [_rule_of_errors()]
    driver = {"name": "assay gate", "rules": rules} | ({"semanticVersion": version} if version else {})
    run = {
        "tool": {"driver": driver},
        "invocations": [
            {
                "executionSuccessful": report.conclusion is not Conclusion.INFRASTRUCTURE,
                "exitCode": report.conclusion.exit_code,
                "exitCodeDescription": report.headline,
            }
        ],
        "results": results,
        "columnKind": "unicodeCodePoints",
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, allow_nan=False) + "\n"


def _result(gate: GateReading, uri: str) -> dict[str, Any]:
    properties = {
        name: getattr(gate, name) for name in ("baseline", "candidate", "difference", "low", "high", "margin", "limit")
    }
    return {
        "ruleId": _rule_id(gate),
        "kind": KINDS[gate.outcome],
        "level": LEVELS[gate.outcome],
        "message": {"text": f"{gate.metric}: {gate.why}"},
        "locations": [_location(uri)],
        "partialFingerprints": {"gate/v1": gate.metric},
        "properties": {name: value for name, value in properties.items() if value is not None},
    }


def _broken(report: GateReport, uri: str) -> dict[str, Any]:
    told = f"{MEANING[report.conclusion]} {report.n_errors} of {report.n_asked}: {'; '.join(report.errors)}"
    return {
        "ruleId": "gate/errors",
        "kind": "fail",
        "level": "error",
        "message": {"text": told},
        "locations": [_location(uri)],
    }


def _rule(gate: GateReading) -> dict[str, Any]:
    return {"id": _rule_id(gate), "shortDescription": {"text": f"{gate.metric} must not get worse, nor be bad."}}


def _rule_of_errors() -> dict[str, Any]:
    return {"id": "gate/errors", "shortDescription": {"text": "Most cases must end in a score and not in an error."}}


def _rule_id(gate: GateReading) -> str:
    return f"gate/{gate.metric}"


def _location(uri: str) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}}
