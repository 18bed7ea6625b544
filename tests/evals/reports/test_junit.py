from xml.etree import ElementTree as Xml

import pytest

from evals.conclusion import Conclusion
from evals.reports.junit import to_junit
from tests.evals.reports.reported import nasty_report, report_of


@pytest.mark.parametrize("conclusion", list(Conclusion))
def test_it_is_red_exactly_when_the_exit_code_is(conclusion):
    suite = Xml.fromstring(to_junit(report_of(conclusion))).find("testsuite")
    (verdict,) = [case for case in suite if case.get("name") == "verdict"]
    is_red = verdict.find("failure") is not None or verdict.find("error") is not None
    assert is_red == (conclusion.exit_code != 0)
    assert (verdict.find("failure") is not None) == (conclusion is Conclusion.FAIL)


def test_the_counts_are_those_of_the_cases():
    suite = Xml.fromstring(to_junit(report_of(Conclusion.FAIL))).find("testsuite")
    cases = suite.findall("testcase")
    assert int(suite.get("tests")) == len(cases) == 3
    assert int(suite.get("failures")) == sum(case.find("failure") is not None for case in cases) == 2
    assert int(suite.get("errors")) == sum(case.find("error") is not None for case in cases)
    told = {p.get("name"): p.get("value") for p in suite.find("properties")}
    assert (told["conclusion"], told["exit_code"]) == ("fail", "1")


def test_words_that_xml_cannot_hold_do_not_break_it():
    text = to_junit(nasty_report())
    assert Xml.fromstring(text) is not None
    assert "\x00" not in text
