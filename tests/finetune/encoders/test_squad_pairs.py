import pytest

from finetune.encoder_recipes import EncoderSource
from finetune.encoders.squad_pairs import GROUNDING_FORMATS, shortened
from finetune.rows import Row

SOURCE = EncoderSource(path="x", licence="CC0-1.0")

CONTEXT = (
    "Rollo founded the duchy of Normandy in 911 after a siege of Chartres. "
    "William, who was his heir, defeated King Harold of England in 1066 near the town of Hastings. "
    "The first cathedral stands in Rouen since 1063, where it was built by Maurilius."
)


def built(form, *rows):
    return list(GROUNDING_FORMATS[form].build({"x": [Row(f"x:{i}", row) for i, row in enumerate(rows, 1)]}, SOURCE))


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
