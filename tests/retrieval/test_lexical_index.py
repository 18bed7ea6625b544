import math
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import IndexDamaged, InfrastructureError
from retrieval.lexical_index import LexicalIndex, LexicalRow

ROWS = [
    LexicalRow(1, 10, (1,), "Leave", "Employees have thirty days of annual leave."),
    LexicalRow(2, 10, (1,), "Leave", "Unused leave expires in March."),
    LexicalRow(3, 20, (1, 2), "Travel", "Trains are booked by the travel desk."),
    LexicalRow(4, 30, (2,), "Security", "Laptops are encrypted; lost laptops are reported within a day."),
]


def made(folder, rows=ROWS):
    index = LexicalIndex.open(folder, writable=True)
    index.add(rows)
    index.commit()
    return index


@pytest.fixture(scope="module")
def searcher(tmp_path_factory):
    index = made(tmp_path_factory.mktemp("lexical"))
    yield index.searcher()
    index.close()


def ids(hits):
    return [chunk for chunk, _ in hits]


def test_the_score_is_bm25_worked_by_hand(tmp_path):
    # Two chunks of 2 and 1 terms: mean length 1.5. "fish" is in one of two: idf = ln(1 + (2 - 1 + .5) / (1 + .5)).
    index = made(tmp_path, [LexicalRow(1, 1, (1,), "", "red fish"), LexicalRow(2, 2, (1,), "", "bird")])
    expected = math.log(1 + 1.5 / 1.5) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 1.5))
    assert index.searcher().search("fishes", 5) == [(1, pytest.approx(expected, abs=1e-4))]
    assert index.searcher().search("fish fish", 5)[0][1] == pytest.approx(2 * expected, abs=1e-4)


def test_words_meet_by_stem_case_accent_and_title(searcher):
    assert ids(searcher.search("ENCRYPTING a laptop", 1)) == [4]
    assert ids(searcher.search("security", 5)) == [4]
    assert ids(searcher.search("tràvels", 1)) == [3]


def test_scripts_without_spaces_are_found_by_a_part(tmp_path):
    index = made(
        tmp_path,
        [
            LexicalRow(1, 1, (1,), "", "東京タワーの高さ"),
            LexicalRow(2, 2, (1,), "", "大阪城"),
        ],
    )
    assert ids(index.searcher().search("東京", 5)) == [1]


def test_a_question_of_function_words_alone_still_finds_something(searcher):
    assert searcher.search("who are they", 5)


def test_content_words_outweigh_function_words(searcher):
    assert ids(searcher.search("what is in the train and by the of", 4))[0] == 3


def test_a_filter_narrows_what_is_found_and_leaves_scores_alone(searcher):
    free = dict(searcher.search("leave travel laptops day", 10))
    assert set(free) == {1, 2, 3, 4}
    assert dict(searcher.search("leave travel laptops day", 10, scopes=[2])) == {i: free[i] for i in (3, 4)}
    assert dict(searcher.search("leave travel laptops day", 10, contents=[10])) == {i: free[i] for i in (1, 2)}
    assert dict(searcher.search("leave travel laptops day", 10, scopes=[1], contents=[20, 30])) == {3: free[3]}
    assert searcher.search("leave travel laptops day", 10, scopes=[]) == []
    assert searcher.search("leave", 10, contents=[]) == []
    assert searcher.scores("leave travel laptops day", [2, 4, 99]) == {i: free[i] for i in (2, 4)}


@pytest.mark.slow
def test_a_broad_filter_finds_what_a_narrow_condition_would(tmp_path):
    rows = [LexicalRow(i, i, (1,), "", "stone " * (1 + i % 7) + f"w{i % 13}") for i in range(1500)]
    searcher = made(tmp_path, rows).searcher()
    for allowed in (range(600), range(0, 1500, 2), [i for i in range(1500) if i % 13]):
        everything = [hit for hit in searcher.search("stone w0", 1500) if hit[0] in set(allowed)]
        assert searcher.search("stone w0", 20, contents=list(allowed)) == everything[:20]


def test_a_scope_that_covers_only_what_is_left_is_still_a_condition(tmp_path):
    index = made(tmp_path)
    index.delete_contents([10])
    index.commit()
    assert ids(index.searcher().search("travel laptops", 9, scopes=[1])) == [3]
    assert ids(index.searcher().search("travel laptops", 9, scopes=[2])) == [3, 4]


def test_equal_scores_come_in_the_order_of_ids(tmp_path):
    rows = [LexicalRow(i, i, (1,), "", "same words here") for i in (9, 3, 7, 1, 5)]
    assert ids(made(tmp_path, rows).searcher().search("same words", 3)) == [1, 3, 5]


def test_adding_a_chunk_again_replaces_it(tmp_path):
    index = made(tmp_path)
    index.add([*ROWS, LexicalRow(1, 10, (1,), "", "zebra")])
    index.commit()
    assert index.searcher().n_docs == 4
    assert index.searcher().chunk_ids() == {1, 2, 3, 4}
    assert ids(index.searcher().search("zebra", 5)) == [1]
    assert index.searcher().search("thirty", 5) == []


def test_a_searcher_keeps_its_state_and_a_change_gets_another_id(tmp_path):
    index = made(tmp_path)
    before = index.searcher()
    index.commit()
    assert index.searcher().state_id == before.state_id
    index.delete_contents([10])
    index.add([LexicalRow(5, 50, (1,), "", "quagga")])
    index.commit()
    assert ids(before.search("leave", 5)) == [1, 2] or ids(before.search("leave", 5)) == [2, 1]
    assert before.search("quagga", 5) == []
    assert index.searcher().search("leave", 5) == []
    assert index.searcher().chunk_ids() == {3, 4, 5}
    assert index.searcher().state_id != before.state_id


def test_one_writes_and_others_read_on_when_they_reload(tmp_path):
    writer = made(tmp_path)
    reader = LexicalIndex.open(tmp_path)
    with pytest.raises(InfrastructureError, match="Another process"):
        LexicalIndex.open(tmp_path, writable=True)
    with pytest.raises(InfrastructureError, match="reading only"):
        reader.add(ROWS)
    writer.add([LexicalRow(5, 50, (1,), "", "quagga")])
    writer.commit()
    assert reader.searcher().search("quagga", 5) == []
    reader.reload()
    assert ids(reader.searcher().search("quagga", 5)) == [5]
    assert reader.searcher().state_id == writer.searcher().state_id
    writer.close()
    LexicalIndex.open(tmp_path, writable=True).close()


def test_uncommitted_rows_are_gone_after_a_crash_and_come_back_when_added_again(tmp_path):
    index = made(tmp_path / "a", ROWS[:2])
    index.add(ROWS[2:])
    shutil.copytree(tmp_path / "a", tmp_path / "b", ignore=shutil.ignore_patterns(".tmp*"))  # as a kill would
    index.close()
    again = LexicalIndex.open(tmp_path / "b", writable=True)
    assert again.searcher().chunk_ids() == {1, 2}
    again.add(ROWS)
    again.commit()
    assert again.searcher().chunk_ids() == {1, 2, 3, 4}


def test_a_torn_index_is_reported_as_damaged(tmp_path):
    made(tmp_path / "good").close()
    for file in [p for p in (tmp_path / "good").iterdir() if p.suffix in {".term", ".idx", ".fast", ".json"}]:
        torn = tmp_path / f"torn-{file.suffix}-{file.name}"
        shutil.copytree(tmp_path / "good", torn)
        (torn / file.name).write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(IndexDamaged):
            LexicalIndex.open(torn).searcher().search("leave", 5)
    with pytest.raises(IndexDamaged, match="no lexical index"):
        LexicalIndex.open(tmp_path / "nowhere")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.characters(), max_size=60) | st.text(alphabet='+-"()[]{}:^~*?\\/ANDORT leave', max_size=40))
@pytest.mark.slow
def test_no_text_is_a_bad_question(searcher, text):
    hits = searcher.search(text, 3, scopes=[1, 2])
    assert len(hits) <= 3
    assert hits == sorted(hits, key=lambda hit: (-hit[1], hit[0]))


def test_syntax_of_query_languages_means_nothing(searcher):
    assert searcher.search('body:"leave" AND -(travel)^9 ~2', 9) == searcher.search("body leave and travel 9 2", 9)


def test_a_very_long_question_is_cut_not_refused(searcher):
    assert ids(searcher.search("laptops " + " ".join(f"w{i}" for i in range(20_000)), 1)) == [4]
