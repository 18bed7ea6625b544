import gzip
import json

import pytest

from data.errors import InvalidInput
from evals.reading import Question, load_questions, measure, passage_auroc, read_all, wrong_context

MILL = "The mill was built in 1790. It burned down in 1931."
FERRY = "The ferry sails at noon. It was launched in 1931."
ASKED = [
    Question("When was the mill built?", MILL, ("1790", "in 1790"), "mill"),
    Question("When did it burn?", MILL, ("1931",), "mill"),
    Question("Who owned it?", MILL, (), "mill"),
    Question("When does the ferry sail?", FERRY, ("at noon",), "ferry"),
]


def reader(answers):
    return lambda pairs: [answers[question] for question, _ in pairs]


FOUND = {
    "When was the mill built?": ("1790.", 4.0),
    "When did it burn?": ("down in 1931", 1.0),
    "Who owned it?": ("The mill", 0.5),
    "When does the ferry sail?": ("at noon", -1.0),
}


def test_f1_when_it_must_answer_and_with_the_right_to_withhold_are_those_worked_by_hand():
    facts = measure(ASKED, read_all(ASKED, reader(FOUND)), threshold=0.7)
    assert facts["f1_answerable"]["value"] == pytest.approx(100 * (1 + 0.5 + 1) / 3, abs=0.01)
    assert facts["exact_answerable"]["value"] == pytest.approx(100 * 2 / 3, abs=0.01)
    assert facts["f1_overall"]["value"] == pytest.approx(100 * (1 + 0.5 + 1 + 0) / 4, abs=0.01)
    assert facts["withheld_unanswerable"]["value"] == 100
    assert facts["withheld_answerable"]["value"] == pytest.approx(100 / 3, abs=0.01)
    assert facts["auroc_answerable"] is None  # one unanswerable question is too few


def test_a_wrong_passage_is_the_first_other_one_without_the_answer():
    assert wrong_context(ASKED[1], [MILL, FERRY, "Nothing here."]) == "Nothing here."
    assert wrong_context(ASKED[0], [MILL, FERRY]) == FERRY
    assert wrong_context(ASKED[1], [MILL, FERRY]) is None


def test_scores_of_right_passages_are_compared_with_those_of_retrieved_wrong_ones():
    def read(pairs):
        return [("x", 1.0 if context in (MILL, FERRY) else 0.0) for _, context in pairs]

    facts = passage_auroc(ASKED, read_all(ASKED, read), read, lambda question, k: [MILL, "Nothing here."])
    assert facts["n_pairs"] == 3
    assert facts["auroc_passage"]["value"] == pytest.approx(2.5 / 3, abs=1e-4)  # the mill is wrong for the ferry


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz"])
@pytest.mark.parametrize(
    "answers", [[{"text": "1790", "answer_start": 22}], {"text": ["1790"], "answer_start": [22]}, ["1790"]]
)
def test_questions_are_read_in_every_form_they_are_published_in(tmp_path, suffix, answers):
    row = {"id": "1", "title": "Mill", "question": "When?", "context": MILL, "answers": answers}
    lines = [json.dumps(row), json.dumps(row | {"answers": [], "is_impossible": True})]
    text = "\n".join(lines).encode()
    path = tmp_path / f"q{suffix}"
    path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    found = load_questions(path)
    assert [question.answers for question in found] == [("1790",), ()]
    assert found[0].group == "Mill"


def test_a_row_without_text_is_named(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps({"question": "", "context": MILL}))
    with pytest.raises(InvalidInput, match="row 1"):
        load_questions(path)
