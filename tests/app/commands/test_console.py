import json

import pytest

from app.commands.console import names, principal, print_json, print_json_line
from data.records import Principal, Usage


@pytest.mark.parametrize(("text", "expected"), [("", set()), ("hr", {"hr"}), (" hr, law ,,hr", {"hr", "law"})])
def test_names_are_separated_by_commas(text, expected):
    assert names(text) == expected


def test_the_operator_is_a_subject_of_its_own():
    assert principal("acme", "hr") == Principal(tenant="acme", groups=frozenset({"hr"}), subject="cli")


def test_records_and_sets_become_json_in_a_stable_order(capfdbinary):
    print_json({"usage": Usage(prompt_tokens=1), "groups": frozenset({"b", "a"})})
    printed = json.loads(capfdbinary.readouterr().out)
    assert (printed["usage"]["prompt_tokens"], printed["groups"]) == (1, ["a", "b"])


def test_a_line_is_one_line(capfdbinary):
    print_json_line({"text": "two\nlines"})
    assert capfdbinary.readouterr().out.count(b"\n") == 1


def test_what_has_no_json_form_is_a_defect_and_said():
    with pytest.raises(TypeError, match="object"):
        print_json(object())
