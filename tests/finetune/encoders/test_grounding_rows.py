import pytest

from finetune.encoder_recipes import EncoderSource
from finetune.encoders.grounding_rows import FORMATS, shortened
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


CONTEXT = (
    "Rollo founded the duchy of Normandy in 911 after a siege of Chartres. "
    "William, who was his heir, defeated King Harold of England in 1066 near the town of Hastings. "
    "The first cathedral stands in Rouen since 1063, where it was built by Maurilius."
)


def asked(question, answer, n):
    answers = [{"text": answer, "start": CONTEXT.index(answer)}]
    return {"id": str(n), "title": "Normans", "context": CONTEXT, "question": question, "answers": answers}


ASKED = [
    asked("Who founded the duchy of Normandy?", "Rollo", 1),
    asked("Who defeated King Harold of England in 1066?", "William", 2),
    asked("When was the first cathedral built?", "1063", 3),
    asked("Where does the first cathedral stand?", "Rouen", 4),
]


def test_questions_are_said_as_statements_with_their_answer_and_with_something_wrong():
    rows = built("squad_statements", *ASKED)
    said = {(row.fields["hypothesis"], row.fields["label"]) for row in rows}
    assert ("Rollo founded the duchy of Normandy.", "supported") in said
    assert ("The first cathedral was built in 1063.", "supported") in said
    true = [row.fields["hypothesis"] for row in rows if row.fields["label"] == "supported"]
    assert len(true) == 4
    assert 0 < sum(row.fields["label"] == "unsupported" for row in rows) <= 4
    assert all(row.fields["premise"] in CONTEXT for row in rows)
    assert {row.groups for row in rows} == {("article:Normans",)}
    assert rows == built("squad_statements", *ASKED)  # the draws are those of the texts


def test_sentences_are_shortened_and_edited_in_pairs():
    rows = built("squad_sentences", *ASKED)
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    assert pairs
    for true, false in pairs:
        assert (true.fields["label"], false.fields["label"]) == ("supported", "unsupported")
        assert true.fields["premise"] == false.fields["premise"]
        assert true.fields["hypothesis"] != false.fields["hypothesis"]


@pytest.mark.parametrize(
    ("sentence", "short"),
    [
        (
            "In 911, Rollo (a Dane) founded the duchy of Normandy for his men.",
            "Rollo founded the duchy of Normandy for his men.",
        ),
        (
            "The first cathedral of Normandy stands in Rouen, where it was built.",
            "The first cathedral of Normandy stands in Rouen.",
        ),
        ("It rained, and they left.", "It rained, and they left."),
    ],
)
def test_a_shortened_sentence_keeps_enough_words(sentence, short):
    assert shortened(sentence) == short
