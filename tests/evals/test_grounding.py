import json

import pytest

from data.errors import InvalidInput
from evals.grounding import LabelledPair, load_pairs, measure, scores_of, strangers, taken_for_support

PAIRS = [
    LabelledPair("a b", "a", True, "one"),
    LabelledPair("a b", "c", False, "one"),
    LabelledPair("a b", "b", True, "two"),
    LabelledPair("a b", "a", False, "two"),
]


def holds(pairs):
    return [float(hypothesis in premise) for premise, hypothesis in pairs]


def test_sources_are_told_one_by_one_and_their_mean_counts_each_the_same():
    facts = measure(PAIRS, scores_of(PAIRS, holds), 0.5)
    assert facts["balanced_accuracy"]["value"] == 0.75
    assert facts["sources"]["one"]["balanced_accuracy"]["value"] == 1.0
    assert facts["sources"]["two"]["balanced_accuracy"]["value"] == 0.5
    assert facts["mean_over_sources"] == 0.75
    assert facts["auroc"]["value"] == 0.75


def test_the_threshold_is_that_given_and_the_best_one_is_only_told_beside_it():
    facts = measure(PAIRS[:2], scores_of(PAIRS[:2], holds), 2.0)
    assert (facts["balanced_accuracy"]["value"], facts["best_balanced_accuracy"]) == (0.5, 1.0)
    assert "sources" not in facts


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        *((label, True) for label in ("SUPPORTS", "Fully attributable", 1, "entailment", True)),
        *((label, False) for label in ("NOT_ENOUGH_INFO", "REFUTES", 0, "not_entailment", "Generic")),
    ],
)
def test_labels_are_read_as_data_sets_spell_them(tmp_path, label, expected):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"premise": "p", "hypothesis": "h", "label": label}))
    assert load_pairs(path)[0].is_supported is expected


def test_an_unknown_label_is_named_with_its_row(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"premise": "p", "hypothesis": "h", "label": "perhaps"}))
    with pytest.raises(InvalidInput, match="row 1 has the label 'perhaps'"):
        load_pairs(path)


def test_strangers_never_keep_their_own_premise_and_are_the_same_for_one_seed():
    pairs = [LabelledPair(f"premise {i % 3}", f"h{i}", True) for i in range(30)]
    drawn = strangers(pairs, 20, 1)
    own = {pair.hypothesis: pair.premise for pair in pairs}
    assert len(drawn) == 20
    assert all(own[pair.hypothesis] != pair.premise and not pair.is_supported for pair in drawn)
    assert {pair.premise for pair in drawn} == {"premise 0", "premise 1", "premise 2"}
    assert drawn == strangers(pairs, 20, 1) != strangers(pairs, 20, 2)
    assert strangers(pairs[:1], 5, 0) == []


def test_strangers_at_or_above_the_threshold_are_taken_for_support():
    assert taken_for_support([0.5, 0.4, 0.9, 0.1], 0.5)["value"] == 0.5
    assert taken_for_support([], 0.5) is None
