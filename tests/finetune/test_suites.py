import json

from finetune.recipe_parts import Preflight
from finetune.suites import ROOT, suite_items


def test_questions_are_found_in_every_shape_of_suite(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.jsonl").write_text(json.dumps({"id": 1, "question": "Who?"}) + "\n\nbroken\n")
    (tmp_path / "a" / "two.jsonl").write_text(
        json.dumps({"messages": [], "prompt": [{"role": "user", "content": "What?"}]}) + "\n"
    )
    (tmp_path / "a" / "three.yaml").write_text("name: x\nsamples:\n  - {question: 'Where?'}\n")
    found = suite_items(("a/*.jsonl", "a/*.yaml"), tmp_path)
    assert [(item.where, item.text) for item in found] == [
        ("a/one.jsonl:1", "Who?"),
        ("a/three.yaml:1", "Where?"),
        ("a/two.jsonl:1", "What?"),
    ]


def test_the_sample_questions_of_the_checkout_are_among_those_compared():
    asked = {item.text for item in suite_items(Preflight().suites)}
    questions = [
        json.loads(line)["question"] for line in (ROOT / "data/samples/questions.jsonl").read_text().splitlines()
    ]
    assert set(questions) <= asked
