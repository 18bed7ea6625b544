"""The verdict as it is printed, written and returned: whatever the gates say, all of them say the same."""

import json
from datetime import UTC, datetime
from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st

from data.records import Outcome
from evals.conclusion import concluded
from evals.gate_report import Arm, GateReading, GateReport
from evals.reports.json_report import to_facts, to_json
from evals.reports.junit import to_junit
from evals.reports.markdown import to_markdown
from evals.reports.sarif import to_sarif

CODE = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INFRASTRUCTURE": 4}
TEXT = st.text(max_size=40)


@st.composite
def reports(draw) -> GateReport:
    outcomes = draw(st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=4))
    asked = draw(st.integers(1, 50))
    errors = draw(st.integers(0, asked))
    number = st.none() | st.floats(-1, 1)
    gates = tuple(
        GateReading(
            metric=f"m{i}",
            higher_is_better=True,
            outcome=outcome,
            why=draw(TEXT),
            difference=draw(number),
            low=draw(number),
        )
        for i, outcome in enumerate(outcomes)
    )
    return GateReport(
        suite="handbook",
        conclusion=concluded(outcomes, error_share=errors / asked, max_error_share=0.05),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        baseline=Arm(ref=draw(TEXT), target="t"),
        candidate=Arm(ref=draw(TEXT), target="t"),
        gates=gates,
        alpha=0.05,
        n_samples=50,
        n_asked=asked,
        n_errors=errors,
        max_error_share=0.05,
        notes=(draw(TEXT),),
    )


@given(reports())
def test_every_word_and_every_code_is_the_same(report):
    word, code = report.conclusion.word, report.conclusion.exit_code
    assert CODE[word] == code
    assert to_markdown(report).startswith(f"## {word}: ")
    facts = to_facts(report)
    assert (facts["word"], facts["exit_code"]) == (word, code)
    assert json.loads(to_json(report))["exit_code"] == code
    told = {p.get("name"): p.get("value") for p in Xml.fromstring(to_junit(report)).iter("property")}
    assert (told["conclusion"].upper(), told["exit_code"]) == (word, str(code))
    (run,) = json.loads(to_sarif(report, "suite.yaml"))["runs"]
    assert run["invocations"][0]["exitCode"] == code
