from collections import Counter

import pytest

from data.errors import InvalidInput, NotFound
from finetune.encoders.built_rows import BuiltRow, held_out_groups, parted_rows
from finetune.encoders.label_rows import FORMATS
from finetune.encoders.reader_rows import FORMATS as READER_FORMATS
from tests.finetune.encoders.conftest import CITIES, PEOPLE, question_rows, resident, written

LABELS = {"labels": ["old", "new"]}


def labelled(n=60):
    return [
        {"text": f"{PEOPLE[i % 10]} number {i} of {CITIES[i // 10]} house {i * i}", "label": "old", "group": i // 5}
        for i in range(n)
    ]


def groups(rows):
    return {group for row in rows for group in row.groups}


def test_whole_groups_are_held_out(recipe_of, tmp_path):
    parted = parted_rows(recipe_of("classifier", written(tmp_path / "x.jsonl", labelled()), **LABELS), FORMATS)
    assert len(parted.train) + len(parted.eval) == 60
    assert 0.15 < len(parted.eval) / 60 < 0.4
    assert not groups(parted.train) & groups(parted.eval)


def test_the_same_groups_are_held_out_in_every_run_and_others_under_another_seed(recipe_of, tmp_path):
    path = written(tmp_path / "x.jsonl", labelled())
    a, b, c = (
        groups(parted_rows(recipe_of("classifier", path, f"seed={seed}", **LABELS), FORMATS).eval) for seed in (1, 1, 2)
    )
    assert a == b
    assert a != c


def test_a_row_of_two_kinds_of_groups_is_on_a_side_only_with_both():
    rows = [BuiltRow(f"{a}{b}", {}, f"{a}{b}", (f"attack:{a}", f"host:{b}")) for a in range(8) for b in range(8)]
    chosen = held_out_groups(rows, 0.25, 5)
    assert Counter(name.partition(":")[0] for name in chosen) == {"attack": 2, "host": 2}


def test_a_held_out_row_that_nearly_equals_a_training_row_is_taken_out_and_said_so(recipe_of, tmp_path):
    long = "the river runs through the old city of lima and stands near the bridge of the many people every year"
    rows = labelled() + [{"text": f"{long} {c}", "label": "new", "group": f"g{i}"} for i, c in enumerate("abcdefgh")]
    parted = parted_rows(recipe_of("classifier", written(tmp_path / "x.jsonl", rows), **LABELS), FORMATS)
    sides = [sum(row.key.startswith(long) for row in side) for side in (parted.train, parted.eval)]
    assert sides[0] > 0
    assert sides[1] == 0
    assert [notice.code for notice in parted.notices] == ["near_duplicates_taken_out"]


def test_a_source_that_is_left_out_is_measured_whole_and_the_others_still_hold_rows_out(recipe_of, tmp_path):
    paths = [written(tmp_path / f"{name}.jsonl", labelled()[at : at + 30]) for name, at in (("one", 0), ("two", 30))]
    data = {
        "train": [{"path": str(path), "licence": "CC0-1.0"} for path in paths],
        "eval_share": 0.2,
        "leave_out": ["two"],
    }
    parted = parted_rows(recipe_of("classifier", paths[0], data=data, **LABELS), FORMATS)
    assert {row.source for row in parted.train} == {"one"}
    assert sum(row.is_left_out for row in parted.eval) == 30
    assert any(not row.is_left_out for row in parted.eval)
    assert {digest.source.path.name: digest.role for digest in parted.files} == {
        "one.jsonl": "train",
        "two.jsonl": "left out",
    }


def test_leaving_out_a_source_that_is_not_there_names_those_that_are(recipe_of, tmp_path):
    path = written(tmp_path / "one.jsonl", labelled())
    with pytest.raises(InvalidInput, match="the sources are one"):
        parted_rows(recipe_of("classifier", path, "data.leave_out=[three]", **LABELS), FORMATS)


@pytest.mark.parametrize(
    ("licence", "is_closed"), [("CC-BY-NC-SA-3.0", True), ("none stated", True), ("CC-BY-SA-4.0", False)]
)
def test_data_whose_weights_may_not_be_passed_on_blocks(recipe_of, tmp_path, licence, is_closed):
    data = {"train": [{"path": str(written(tmp_path / "x.jsonl", labelled())), "licence": licence}]}
    parted = parted_rows(recipe_of("classifier", tmp_path, data=data, **LABELS), FORMATS)
    assert [notice.is_blocking for notice in parted.notices if notice.code == "unshareable_licence"] == [
        True
    ] * is_closed


def test_a_format_that_is_not_known_names_those_that_are(recipe_of, tmp_path):
    data = {"train": [{"path": str(tmp_path), "licence": "CC0-1.0", "format": "squat"}]}
    with pytest.raises(InvalidInput, match="squad"):
        parted_rows(recipe_of("reader", tmp_path, data=data), READER_FORMATS)


def test_a_folder_without_its_files_is_an_error_that_names_the_file(recipe_of, tmp_path):
    data = {"train": [{"path": str(tmp_path), "licence": "CC0-1.0", "format": "question_sentence"}]}
    with pytest.raises(NotFound, match=r"corpus\.jsonl\.gz"):
        parted_rows(recipe_of("reader", tmp_path, data=data), READER_FORMATS)


def test_weak_rows_are_trained_on_and_never_held_out(recipe_of, tmp_path):
    folder = tmp_path / "beir"
    texts = [resident(person, city) for city in CITIES for person in PEOPLE]
    written(folder / "corpus.jsonl.gz", [{"_id": f"s{i}", "text": text} for i, text in enumerate(texts)])
    asked = [f"where in {i} is {text.split()[0]} of {i * 3} ?" for i, text in enumerate(texts)]
    written(folder / "queries.jsonl.gz", [{"_id": f"q{i}", "text": text} for i, text in enumerate(asked)])
    lines = "".join(f"q{i}\ts{i}\t1\n" for i in range(len(texts)))
    (folder / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}")
    data = {
        "train": [
            {"path": str(written(tmp_path / "q.jsonl", question_rows())), "licence": "CC0-1.0"},
            {"path": str(folder), "licence": "CC0-1.0", "format": "question_sentence"},
        ]
    }
    parted = parted_rows(recipe_of("reader", tmp_path, data=data), READER_FORMATS)
    assert sum(row.is_weak for row in parted.train) == 100
    assert not any(row.is_weak for row in parted.eval)
    assert parted.eval
    assert [digest.n_rows for digest in parted.files] == [100, 100, 100, 100]


def test_a_source_gives_no_more_rows_than_the_recipe_lets_it(recipe_of, tmp_path):
    data = {"train": [{"path": str(written(tmp_path / "x.jsonl", labelled())), "licence": "CC0-1.0", "max_rows": 20}]}
    parted = parted_rows(recipe_of("classifier", tmp_path, data=data, **LABELS), FORMATS)
    assert len(parted.train) + len(parted.eval) == 20
