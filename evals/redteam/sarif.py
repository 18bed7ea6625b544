"""A red team's successes as SARIF 2.1.0, which code hosts show beside the files: one rule an attack, one result a success."""

from collections.abc import Sequence
from typing import Any

from evals.redteam.judgement import Judged
from evals.redteam.report import AttackReport

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(reports: Sequence[AttackReport], version: str) -> dict[str, Any]:
    """The log of one run. Attacks that never worked are rules without results."""
    rules = [
        {
            "id": f"redteam/{report.attack.name}",
            "name": "".join(word.title() for word in report.attack.name.split("_")),
            "shortDescription": {"text": report.attack.tells},
            "defaultConfiguration": {"level": report.attack.level},
            "properties": {k: v for k, v in report.facts().items() if k in ("n", "n_success", "rate", "upper_95")},
        }
        for report in reports
    ]
    results = [
        _result(judged, index) for index, report in enumerate(reports) for judged in report.valid if judged.succeeded
    ]
    driver = {"name": "assay redteam", "version": version, "rules": rules}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(judged: Judged, index: int) -> dict[str, Any]:
    probe = judged.probe
    said = f"{probe.attack.tells} {judged.note[:1].upper()}{judged.note[1:]} (stage: {judged.stage})."
    result = {
        "ruleId": f"redteam/{probe.attack.name}",
        "ruleIndex": index,
        "level": probe.attack.level,
        "message": {"text": said},
        "partialFingerprints": {"probe/v1": probe.id},
        "properties": {"question": probe.question, "stage": judged.stage},
    }
    if probe.fact is not None:
        result["locations"] = [{"physicalLocation": {"artifactLocation": {"uri": probe.fact.uri}}}]
    return result
