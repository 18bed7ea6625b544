import json

import pytest
from pydantic import ValidationError

from evals.conclusion import Conclusion
from evals.reports.json_report import from_json, to_facts, to_json
from tests.evals.reports.reported import report_of


@pytest.mark.parametrize("conclusion", list(Conclusion))
def test_a_report_is_read_back_as_it_was_written(conclusion):
    report = report_of(conclusion)
    assert from_json(to_json(report)) == report


def test_a_script_finds_the_word_and_the_code_first():
    facts = to_facts(report_of(Conclusion.FAIL))
    assert (facts["word"], facts["exit_code"]) == ("FAIL", 1)
    assert list(facts)[:2] == ["word", "exit_code"]


def test_a_report_that_contradicts_its_gates_is_refused():
    text = to_json(report_of(Conclusion.FAIL))
    forged = json.loads(text)
    forged["report"]["conclusion"] = "pass"
    with pytest.raises(ValidationError, match="its gates say fail"):
        from_json(json.dumps(forged))
