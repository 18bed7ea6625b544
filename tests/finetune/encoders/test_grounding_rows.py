import pytest

from finetune.encoder_recipes import EncoderSource
from finetune.encoders.grounding_rows import FORMATS
from finetune.examples import Dropped
from finetune.rows import Row

SOURCE = EncoderSource(path="x", licence="CC0-1.0")


def built(form, *rows):
    return list(FORMATS[form].build({"x": [Row(f"x:{i}", row) for i, row in enumerate(rows, 1)]}, SOURCE))


def labels(form, *rows):
    return [row.fields["label"] for row in built(form, *rows)]


@pytest.mark.parametrize(
    ("form", "name", "fields", "pairs"),
    [
        ("summedits", "label", {"doc": "d", "summary": "s"}, {1: "supported", 0: "unsupported"}),
        (
            "begin",
            "begin_label",
            {"knowledge": "k", "response": "r"},
            {"Fully attributable": "supported", "Not fully attributable": "unsupported", "Generic": "unsupported"},
        ),
        (
            "climate_fever",
            "label",
            {"premise": "p", "hypothesis": "h", "claim_id": "7"},
            {"SUPPORTS": "supported", "REFUTES": "unsupported", "NOT_ENOUGH_INFO": "unsupported"},
        ),
        (
            "rte",
            "label",
            {"premise": "p", "hypothesis": "h"},
            {"entailment": "supported", "not_entailment": "unsupported"},
        ),
        (
            "sick",
            "label",
            {"premise": "p", "hypothesis": "h"},
            {"ENTAILMENT": "supported", "NEUTRAL": "unsupported", "CONTRADICTION": "unsupported"},
        ),
    ],
)
def test_the_labels_of_every_data_set_come_to_two(form, name, fields, pairs):
    assert labels(form, *[fields | {name: label} for label in pairs]) == list(pairs.values())


def claim(label, **more):
    retrieved = [{"text": text} for text in ("The mill burned.", "It rained.", "Nobody came.", "Ships sailed.")]
    return {
        "label": label,
        "text": "A mill burned.",
        "wikipedia_page": "Mills",
        "gold_evidence": [{"text": "The mill burned."}, {"text": "It was 1931."}],
        "retrieved_evidence": retrieved,
    } | more


def test_retrieved_sentences_that_are_not_the_evidence_do_not_support_a_true_claim():
    rows = built("fool_me_twice", claim("SUPPORTS"))
    assert [row.fields["label"] for row in rows] == ["supported", "unsupported", "unsupported"]
    assert rows[0].fields["premise"] == "The mill burned. It was 1931."
    assert [row.fields["premise"] for row in rows[1:]] == ["It rained.", "Nobody came."]
    assert {row.groups for row in rows} == {("page:Mills",)}


def test_a_refuted_claim_gets_no_distractors():
    assert labels("fool_me_twice", claim("REFUTES")) == ["unsupported"]


def test_a_claim_without_evidence_is_dropped():
    (row,) = built("fool_me_twice", claim("SUPPORTS", gold_evidence=[]))
    assert isinstance(row, Dropped)


def test_pairs_of_one_document_are_one_group():
    rows = built("summedits", *({"doc": "one", "summary": f"s{i}", "label": i % 2} for i in range(4)))
    assert len({row.groups for row in rows}) == 1


def test_a_label_nobody_knows_is_dropped_with_its_value():
    (row,) = built("rows", {"premise": "p", "hypothesis": "h", "label": "perhaps"})
    assert row.reason == "unknown_label"
    assert "perhaps" in row.detail
