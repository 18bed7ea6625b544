import pytest

from tests.app.commands.conftest import ends_with_example

pytestmark = pytest.mark.slow  # loads the real encoder

QUESTION = "How many weeks of parental leave may parents take?"


def test_help_ends_with_an_example(run):
    assert ends_with_example(run("ask", "--help").out, "ask")


def test_the_answer_is_printed_with_its_source_and_receipt(run):
    ran = run("ask", QUESTION)
    assert ran.code == 0
    assert "twenty-two weeks" in ran.out
    assert "Parental leave, doc_" in ran.out
    assert "assay replay rcpt_" in ran.out


def test_json_is_the_whole_answer(run):
    found = run("ask", QUESTION, "--json").json
    assert found["abstained"] is False
    assert found["sentences"][0]["citations"][0]["quote"].startswith("Parents may take")
    assert found["receipt_id"].startswith("rcpt_")


def test_what_nothing_answers_is_not_known_and_no_error(run):
    ran = run("ask", "Which submarine did Napoleon prefer?")
    assert ran.code == 0
    assert ran.out.startswith("I don't know.")


def test_another_collection_or_tenant_answers_nothing(run):
    for option in (("--collection", "other"), ("--tenant", "rival")):
        assert "Nothing that you may read" in run("ask", QUESTION, *option).out


def test_questions_under_one_name_follow_up(run):
    run("ask", QUESTION, "--conversation", "c1")
    assert "proportion" in run("ask", "And for part-timers?", "--conversation", "c1").out


def test_an_empty_question_is_wrong_use(run):
    ran = run("ask", " ")
    assert (ran.code, ran.out) == (2, "")
    assert "Write a question" in ran.err


def test_a_model_that_is_down_is_marked_and_quoted_instead(run, monkeypatch):
    monkeypatch.setenv("ASSAY_LLM__BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("ASSAY_LLM__MODEL", "tiny")
    ran = run("ask", QUESTION)
    assert ran.code == 0
    assert "twenty-two weeks" in ran.out
    assert "tiny did not answer" in ran.out
