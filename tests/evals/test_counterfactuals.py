import json

import pytest

from app.settings import ROOT
from data.errors import InvalidInput
from data.records import Sample
from evals.counterfactuals import load_groups, swapped

GROUPS = {"gender": {"woman": "I am a woman.", "man": "I am a man."}}
SAMPLE = Sample(id="q1", question="How long is the leave?", answer="22 weeks", citations=(("a.md", "22 weeks"),))


def test_each_group_asks_the_same_question_in_its_own_name():
    made = list(swapped([SAMPLE], GROUPS))
    assert [s.question for s in made] == [
        "How long is the leave?",
        "I am a woman. How long is the leave?",
        "I am a man. How long is the leave?",
    ]
    assert {s.metadata["template"] for s in made} == {"q1"}
    assert len({s.id for s in made}) == 3
    assert all((s.answer, s.citations) == (SAMPLE.answer, SAMPLE.citations) for s in made)


def test_an_axis_with_one_group_compares_nothing(tmp_path):
    (tmp_path / "groups.yaml").write_text("axes: {age: {old: I am old.}}")
    with pytest.raises(InvalidInput, match="fewer than two groups"):
        load_groups(tmp_path / "groups.yaml")


def test_the_suites_file_is_what_the_groups_make_of_the_sample_questions():
    questions = (ROOT / "data/samples/questions.jsonl").read_text(encoding="utf-8").splitlines()
    base = {sample.id: sample for sample in map(Sample.model_validate_json, questions)}
    kept = (ROOT / "evals/suites/samples/bias.jsonl").read_text(encoding="utf-8").splitlines()
    templates = dict.fromkeys(json.loads(line)["metadata"]["template"] for line in kept)
    made = swapped([base[name] for name in templates], load_groups())
    assert [sample.model_dump_json() for sample in made] == kept
