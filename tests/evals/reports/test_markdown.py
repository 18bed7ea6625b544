import re

import pytest

from evals.conclusion import Conclusion
from evals.reports.markdown import to_markdown
from tests.evals.reports.reported import nasty_report, report_of


def table(text: str) -> list[list[str]]:
    """The cells of the first table."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    end = next((i for i, line in enumerate(text.splitlines()) if lines and line == lines[-1]), 0)
    assert end
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.mark.parametrize("conclusion", list(Conclusion))
def test_the_first_line_says_the_verdict(conclusion):
    text = to_markdown(report_of(conclusion))
    assert text.startswith(f"## {conclusion.word}: handbook, prompt:answer@2 against prompt:answer@1\n")


def test_the_table_has_a_row_for_each_gate_with_its_interval_and_verdict():
    head, _, quality, safe = table(to_markdown(report_of(Conclusion.FAIL)))[:4]
    assert head == [
        "metric",
        "baseline",
        "candidate",
        "difference",
        "95 % interval",
        "margin",
        "limit",
        "pairs",
        "verdict",
    ]
    assert quality[:4] == ["quality", "1.000", "0.667", "-0.333"]
    assert quality[-1] == "**FAIL**"
    assert safe[4] == "no case differs"
    assert len(quality) == len(safe) == len(head)


def test_the_worst_ten_cases_show_what_was_said_before_and_after():
    text = to_markdown(report_of(Conclusion.FAIL))
    assert text.count("- before: answer to s") == 10
    assert "quality 1.000 → 0.000" in text
    assert "### Worst cases" not in to_markdown(report_of(Conclusion.PASS))


def test_what_it_cost_and_what_could_be_found_are_told():
    text = to_markdown(report_of(Conclusion.INCONCLUSIVE))
    assert "Cost: baseline 60 rows (0 from the cache), 0 + 0 tokens" in text
    assert "is caught with probability 80%" in text
    assert "neither a regression nor its absence is proven" in text


def test_words_of_models_and_documents_are_shown_and_never_rendered():
    text = to_markdown(nasty_report())
    assert "<img" not in text.replace("\\<img", "")
    assert "](http" not in text.replace("\\](http", "")
    assert "\\@everyone" in text
    cells = {len(row) for row in table(text)}
    assert cells == {9}


def test_a_verdict_that_came_early_says_so():
    assert "stopped early" in to_markdown(nasty_report())
    assert "stopped early" not in to_markdown(report_of(Conclusion.PASS))
