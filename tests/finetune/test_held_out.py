import gzip
import json

from finetune.held_out import main
from tests.finetune.encoders.conftest import question_rows, written


def recipe_file(folder, kind, rows, **more):
    """A recipe's YAML over one file of rows (JSON is YAML)."""
    source = {"path": str(written(folder / "rows.jsonl", rows)), "licence": "CC0-1.0"}
    given = {
        "kind": kind,
        "name": "small",
        "output": str(folder),
        "data": {"train": [source], "eval_share": 0.3},
    } | more
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(given))
    return path


def lines(path):
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def both_sides(recipe, folder):
    out = []
    for side in ("eval", "train"):
        assert main([str(recipe), str(folder / f"{side}.jsonl.gz"), "--side", side]) == 0
        out.append(lines(folder / f"{side}.jsonl.gz"))
    return out


def test_held_out_questions_are_of_other_articles_and_in_squads_fields(tmp_path):
    held_out, trained = both_sides(recipe_file(tmp_path, "reader", question_rows()), tmp_path)
    assert held_out
    assert not {row["title"] for row in held_out} & {row["title"] for row in trained}
    answered = [row for row in held_out if not row["is_impossible"]]
    assert all(row["answers"][0]["text"] in row["context"] for row in answered)
    assert len(answered) < len(held_out)


def test_pairs_and_texts_keep_their_labels(tmp_path):
    pairs = [
        {"premise": f"p {i}", "hypothesis": f"h {i}", "label": "SUPPORTS" if i % 2 else "REFUTES"} for i in range(40)
    ]
    held_out, trained = both_sides(recipe_file(tmp_path, "grounding", pairs), tmp_path)
    assert len(held_out) + len(trained) == 40
    assert {row["label"] for row in held_out} == {"supported", "unsupported"}
    texts = [{"text": f"text number {i}", "label": "bad" if i % 2 else "good"} for i in range(40)]
    held_out, _ = both_sides(recipe_file(tmp_path, "classifier", texts, labels=["bad", "good"]), tmp_path)
    assert set(held_out[0]) == {"text", "label", "group"}


def test_a_rerankers_held_out_questions_stand_over_the_texts_of_both_sides_in_beir_layout(tmp_path):
    rows = [{"query": f"question {i}?", "positive": f"answer {i}.", "negatives": [f"wrong {i}"]} for i in range(20)]
    rows += [{"query": "question 1?", "positive": "answer  1 .", "negatives": [], "group": "answer 1."}]
    recipe = recipe_file(tmp_path, "reranker", rows)
    assert main([str(recipe), str(tmp_path / "held")]) == 0
    assert main([str(recipe), str(tmp_path / "train"), "--side", "train"]) == 0
    corpus, asked = lines(tmp_path / "held" / "corpus.jsonl.gz"), lines(tmp_path / "held" / "queries.jsonl.gz")
    texts = {row["_id"]: row["text"] for row in corpus}
    assert sorted(texts.values()) == sorted(
        f"{kind} {i}{'.' * (kind == 'answer')}" for i in range(20) for kind in ("answer", "wrong")
    )
    trained = {row["text"] for row in lines(tmp_path / "train" / "queries.jsonl.gz")}
    assert asked
    assert not {row["text"] for row in asked} & trained
    judged = [line.split("\t") for line in (tmp_path / "held" / "qrels.tsv").read_text().splitlines()[1:]]
    named = {row["_id"]: row["text"] for row in asked}
    assert {(named[q].split()[1], texts[d].split()[1]) for q, d, _ in judged} == {
        (text.split()[1], text.split()[1].replace("?", ".")) for text in named.values()
    }


def test_a_kind_that_no_command_measures_is_refused(tmp_path, capsys):
    rows = [{"query": "q", "positive": "p"}]
    assert main([str(recipe_file(tmp_path, "embedder", rows)), str(tmp_path / "x.jsonl")]) == 2
    assert "embedder" in capsys.readouterr().err


def test_a_recipe_that_is_not_there_is_named(tmp_path, capsys):
    assert main([str(tmp_path / "none.yaml"), str(tmp_path / "x.jsonl")]) == 2
    assert "none.yaml" in capsys.readouterr().err
