"""The whole report as JSON, with the word and the exit code that a script looks for first."""

import json
from typing import Any

from evals.gate_report import GateReport


def to_facts(report: GateReport) -> dict[str, Any]:
    """Plain values; everything of the report plus `word`, `exit_code`, `headline` and `is_stopped_early`."""
    return {
        "word": report.conclusion.word,
        "exit_code": report.conclusion.exit_code,
        "headline": report.headline,
        "is_stopped_early": report.is_stopped_early,
        "error_share": report.error_share,
        "report": report.model_dump(mode="json"),
    }


def to_json(report: GateReport) -> str:
    return json.dumps(to_facts(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> GateReport:
    """Raises: ValidationError for a report whose conclusion is not what its gates say."""
    return GateReport.model_validate(json.loads(text)["report"])
