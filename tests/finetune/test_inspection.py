import random

import pytest

from finetune.examples import IGNORED, Dropped, Example, Prepared
from finetune.inspection import inspect
from finetune.recipe_parts import Preflight
from finetune.suites import SuiteItem

LIMITS = Preflight()
WORDS = [f"word{i}" for i in range(300)]


def example(
    key: str, answer: str = "yes", where: str = "rows.jsonl:1", n: int = 8, uncut: int | None = None
) -> Example:
    return Example(where, key, answer, f"{key}\n{answer}", tuple(range(n)), (IGNORED,) * (n - 2) + (6, 7), uncut or n)


def report_of(train, held_out=(), suites=(), limits=LIMITS, **more):
    held_out = held_out or [example("a question that nothing else resembles in any way")]
    return inspect(Prepared(tuple(train), tuple(held_out), max_length=8, **more), limits, suites)


def codes(report) -> list[str]:
    return [finding.code for finding in report.blocking]


def test_clean_rows_pass():
    report = report_of([example(f"question number {i} about {WORDS[i]}") for i in range(20)])
    assert report.findings == ()
    assert (report.n_train, report.n_eval, report.n_trainable_tokens) == (20, 1, 40)


def test_a_training_row_equal_to_a_held_out_row_up_to_case_and_whitespace_blocks():
    report = report_of(
        [example("How do I reset  my\tPASSWORD?", where="rows.jsonl:7")], [example("how do i reset my password?")]
    )
    assert codes(report) == ["leak"]
    assert "rows.jsonl:7" in report.blocking[0].mend
    assert "1 word for word" in report.blocking[0].message


def test_a_paraphrase_that_shares_four_fifths_of_its_five_grams_blocks():
    words = random.Random(3).sample(WORDS, 29)  # 25 five-grams, of which one changed word takes five
    changed = [*words]
    changed[12] = "instead"
    report = report_of([example(" ".join(changed))], [example(" ".join(words))])
    assert codes(report) == ["leak"]
    assert "80% of its 5-grams" in report.blocking[0].examples[0]


def test_a_question_of_a_suite_blocks_and_says_which():
    report = report_of(
        [example("who paid for the bridge")], suites=[SuiteItem("evals/s.jsonl:3", "Who paid for the bridge")]
    )
    assert codes(report) == ["contamination"]
    assert "evals/s.jsonl:3" in report.blocking[0].examples[0]


def test_one_row_without_a_trainable_token_blocks_however_many_are_good():
    dropped = (Dropped("rows.jsonl:5", "no_trainable_token", "the answer begins after token 8"),)
    report = report_of([example(f"question {i}") for i in range(500)], dropped=dropped)
    assert codes(report) == ["no_trainable_token"]
    assert "train.max_length" in report.blocking[0].mend


def test_an_email_address_blocks_and_is_not_repeated_in_the_report():
    report = report_of([example("write to me", "at nobody@example.org", where="rows.jsonl:2")])
    assert codes(report) == ["personal_data"]
    assert "nobody" not in str(report.as_json()["findings"])
    assert "rows.jsonl:2: email" in report.blocking[0].examples[0]


def test_a_finding_accepted_by_name_does_not_block_and_is_still_told():
    report = report_of([example("write to nobody@example.org")], limits=Preflight(allow=("personal_data",)))
    assert report.is_passed
    assert [finding.is_allowed for finding in report.findings] == [True]


@pytest.mark.parametrize(("n_cut", "is_passed"), [(1, True), (2, False)])
def test_more_cut_rows_than_the_limit_block_with_the_length_that_fits(n_cut, is_passed):
    rows = [example(f"question {i}", uncut=30 if i < n_cut else 8) for i in range(20)]
    report = report_of(rows)
    assert report.is_passed is is_passed
    assert "train.max_length=30" in report.findings[0].mend


def test_repeated_rows_above_the_limit_block():
    rows = [example(f"question {min(i, 7)}", where=f"r:{i}") for i in range(10)]
    assert codes(report_of(rows)) == ["duplicates"]


def test_no_held_out_row_blocks():
    assert codes(inspect(Prepared((example("a"),), ()), LIMITS)) == ["no_held_out_rows"]


def test_the_histogram_counts_every_row_once():
    rows = [example(f"question {i}", uncut=n) for i, n in enumerate([5, 32, 33, 70, 700])]
    lengths = report_of(rows).lengths
    assert dict(zip(lengths.edges, lengths.counts, strict=True)) == {32: 2, 64: 1, 128: 1, 256: 0, 512: 0, 700: 1}


def test_the_sample_parts_what_is_learned_from_what_is_shown():
    report = report_of([example("a")], decode=lambda ids: " ".join(map(str, ids)))
    assert [(piece.text, piece.is_learned) for piece in report.sample] == [("0 1 2 3 4 5", False), ("6 7", True)]
