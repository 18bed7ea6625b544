"""JUnit XML, one test case a gate: CI servers show failures of it beside those of unit tests.

Inconclusive is an error and not a failure: a server that knows only red and green stays red, and the type says which. The fields are those of
Jenkins' junit-10.xsd that all readers share.
"""

from xml.etree import ElementTree as Xml

from data.records import Outcome
from evals.conclusion import Conclusion
from evals.gate_report import GateReading, GateReport
from evals.reports.markdown import MEANING

NOT_IN_XML = {code: None for code in range(32) if code not in (9, 10, 13)} | {0xFFFE: None, 0xFFFF: None}


def to_junit(report: GateReport) -> str:
    cases = [_case(report, gate) for gate in report.gates] + [_whole(report)]
    suite = Xml.Element(
        "testsuite",
        name=_clean(f"assay gate {report.suite}"),
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped="0",
        time=f"{report.seconds:.3f}",
        timestamp=report.created_at.strftime("%Y-%m-%dT%H:%M:%S"),
    )
    properties = Xml.SubElement(suite, "properties")
    facts = {
        "conclusion": report.conclusion.value,
        "exit_code": str(report.conclusion.exit_code),
        "baseline": report.baseline.ref,
        "candidate": report.candidate.ref,
    }
    for name, value in facts.items():
        Xml.SubElement(properties, "property", name=name, value=_clean(value))
    suite.extend(cases)
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(report: GateReport, gate: GateReading) -> Xml.Element:
    case = Xml.Element("testcase", classname=_clean(f"gate.{report.suite}"), name=_clean(gate.metric), time="0")
    if gate.outcome is Outcome.FAIL:
        Xml.SubElement(case, "failure", type="fail", message=_clean(gate.why))
    elif gate.outcome is Outcome.INCONCLUSIVE:
        Xml.SubElement(case, "error", type="inconclusive", message=_clean(gate.why))
    return case


def _whole(report: GateReport) -> Xml.Element:
    """The suite's own verdict: the one that the exit code tells."""
    case = Xml.Element(
        "testcase", classname=_clean(f"gate.{report.suite}"), name="verdict", time=f"{report.seconds:.3f}"
    )
    told = f"{report.headline}. {MEANING[report.conclusion]}"
    if report.conclusion is Conclusion.FAIL:
        Xml.SubElement(case, "failure", type="fail", message=_clean(told))
    elif report.conclusion is not Conclusion.PASS:
        Xml.SubElement(case, "error", type=report.conclusion.value, message=_clean(told))
    return case


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold, lone surrogates among them."""
    return text.translate(NOT_IN_XML).encode("utf-8", "replace").decode("utf-8")
