from finetune.encoder_recipes import EncoderSource
from finetune.encoders.toxicity_rows import civil_comments_rows, davidson_rows
from finetune.rows import Row

SOURCE = EncoderSource(path="x", licence="CC0-1.0")


def test_hate_and_offence_are_toxic_and_neither_is_not():
    rows = [Row(f"x:{i}", {"class": i, "text": f"text {i}"}) for i in range(3)]
    assert [row.fields["label"] for row in davidson_rows({"x": rows}, SOURCE)] == ["toxic", "toxic", "benign"]


def test_most_raters_decide_and_a_tie_is_not_used():
    def comment(n_benign, n_all):
        votes = [{"not_toxic": i < n_benign} for i in range(n_all)]
        return Row(f"{n_benign}/{n_all}", {"text": f"text {n_benign} {n_all}", "annotations": votes})

    rows = list(civil_comments_rows({"x": [comment(2, 3), comment(1, 3), comment(2, 4)]}, SOURCE))
    assert [row.fields["label"] for row in rows[:2]] == ["benign", "toxic"]
    assert rows[2].reason == "tie"
