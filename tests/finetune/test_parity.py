"""The comparison on forms made of numbers; tests/finetune/test_decoder_outcome.py asks real models."""

from dataclasses import dataclass

import pytest

from finetune.parity import Case, Expected, compare

STOP = 9
CASE = Case("rows.jsonl:1", ({"role": "user", "content": "1 2 3"},), (1, 2, 3, 7, STOP))
EXPECTED = Expected(STOP, (STOP,), 0.02, 4)


@dataclass
class Scripted:
    """A form that says what it is told to."""

    name: str = "served"
    shown: tuple[int, ...] = (1, 2, 3)
    scores: tuple[float, ...] = (-0.5, -0.5, -0.25, -0.125)
    written: tuple[int, ...] = (7, STOP)
    reason: str = "stop"

    def token_ids(self, messages):
        return list(self.shown)

    def logprobs(self, token_ids):
        return list(self.scores)

    def generate(self, token_ids, max_new_tokens):
        return list(self.written), self.reason


def checks(*others: Scripted, expected: Expected = EXPECTED) -> list[str]:
    return [m.check for m in compare([Scripted("adapter"), *others], [CASE], expected).mismatches]


def test_equal_forms_pass():
    report = compare([Scripted("adapter"), Scripted()], [CASE], EXPECTED, skipped=("x",))
    assert report.is_passed
    assert (report.compared, report.n_tokens, report.largest_difference, report.skipped) == (
        ("adapter", "served"),
        4,
        0.0,
        ("x",),
    )


def test_a_template_with_one_other_token_is_caught_with_its_place():
    report = compare([Scripted("adapter"), Scripted(shown=(1, 5, 3))], [CASE], EXPECTED)
    assert [(m.check, m.where) for m in report.mismatches] == [("template", "rows.jsonl:1, token 1")]
    assert "training saw [2, 3, 7, 9], served is shown [5, 3]" in report.mismatches[0].detail


def test_a_template_that_says_more_than_was_trained_is_caught():
    assert checks(Scripted(shown=(1, 2, 3, 7, STOP, 4))) == ["template"]


@pytest.mark.parametrize(("difference", "found"), [(0.019, []), (0.021, ["logprobs"]), (float("nan"), ["logprobs"])])
def test_log_probabilities_may_differ_by_the_tolerance_and_no_more(difference, found):
    assert checks(Scripted(scores=(-0.5, -0.5, -0.25 - difference, -0.125))) == found


def test_a_server_that_scores_another_number_of_tokens_is_caught():
    assert checks(Scripted(scores=(-0.5,))) == ["logprobs"]


def test_a_base_that_does_not_stop_at_the_trained_token_is_caught():
    assert checks(expected=Expected(STOP, (4,), 0.02, 4)) == ["stop_token"]


def test_a_server_that_writes_on_after_the_stop_token_is_caught():
    assert checks(Scripted(written=(7, STOP, 3, 3), reason="length")) == ["stop_token", "stop_token"]


def test_other_words_that_end_otherwise_are_no_matter_of_the_stop_token():
    assert checks(Scripted(written=(8, 8, 8, 8), reason="length")) == []
