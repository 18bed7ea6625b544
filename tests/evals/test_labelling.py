import json

import pytest

from evals.labelling import LEAST_ROWS, PROBES, LabelledText, load_texts, measure, scores_of


def flags(*words):
    return lambda texts: [float(any(word in text for word in words)) for text in texts]


def test_recall_and_false_positives_are_shares_of_their_own_side():
    texts = [LabelledText("bad one", True), LabelledText("bad", True), LabelledText("odd", True)]
    texts += [LabelledText("bad luck", False), LabelledText("fine", False)]
    facts = measure(texts, scores_of(texts, flags("bad")), 0.5)
    assert facts["recall"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert facts["false_positive_rate"]["value"] == 0.5
    assert facts["auroc"]["value"] == pytest.approx((2 * 1.5 + 0.5) / 6, abs=1e-4)


def test_the_gap_is_between_the_groups_that_are_flagged_most_and_least():
    texts = [LabelledText("bad" if i % 2 else "ok", False, "one") for i in range(LEAST_ROWS)]
    texts += [LabelledText("ok", False, "two") for _ in range(LEAST_ROWS)]
    texts += [LabelledText("bad", False, "few")]
    groups = measure(texts, scores_of(texts, flags("bad")), 0.5)["groups"]
    assert (groups["largest_gap"], groups["between"]) == (0.5, ["one", "two"])
    assert "false_positive_rate" not in groups["by_group"]["few"]


def test_each_functionality_is_told_with_what_it_should_be():
    texts = [LabelledText("not bad", False, functionality="negation"), LabelledText("bad", True, functionality="abuse")]
    told = measure(texts, scores_of(texts, flags("bad")), 0.5)["functionalities"]
    assert (told["negation"]["is_positive"], told["negation"]["right"]["value"]) == (False, 0.0)
    assert (told["abuse"]["is_positive"], told["abuse"]["right"]["value"]) == (True, 1.0)


@pytest.mark.parametrize(
    ("label", "expected"), [("hateful", True), ("non-hateful", False), (1, True), ("neither", False)]
)
def test_labels_are_read_as_data_sets_spell_them(tmp_path, label, expected):
    path = tmp_path / "texts.jsonl"
    path.write_text(json.dumps({"text": "t", "label": label, "group": None}))
    assert load_texts(path, "toxicity")[0] == LabelledText("t", expected)


def test_our_probes_hold_counter_speech_negation_reclaimed_words_and_abuse():
    probes = load_texts(PROBES, "toxicity")
    functions = {probe.functionality for probe in probes}
    assert len(functions) >= 12
    assert len({probe.text for probe in probes}) == len(probes) >= 100
    assert 0.2 < sum(probe.is_positive for probe in probes) / len(probes) < 0.5
