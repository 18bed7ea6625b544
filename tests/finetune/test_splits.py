from finetune.rows import Conversation, held_out
from finetune.splits import parted


def rows(keys: list[str]) -> list[Conversation]:
    return [Conversation(f"r:{i}", ({"role": "assistant", "content": "x"},), key) for i, key in enumerate(keys)]


def test_rows_unlike_each_other_are_parted_by_their_hash():
    keys = [f"{i} {i * 7} {i * 11} {i * 13} {i * 17} {i * 19}" for i in range(300)]
    train, out, notices = parted(rows(keys), 0.2, 17, 0.8)
    assert {row.key for row in out} == {
        key for key, is_out in zip(keys, held_out(keys, 0.2, 17), strict=True) if is_out
    }
    assert len(train) + len(out) == 300
    assert notices == []


def test_a_chain_of_near_copies_ends_on_the_training_side_and_that_is_told():
    words = [f"w{i}" for i in range(40)]
    chain = [" ".join([f"x{n}" if i == 20 + n // 9 * 3 else w for i, w in enumerate(words)]) for n in range(30)]
    train, out, notices = parted(rows([*chain]), 0.5, 17, 0.8)
    assert out == []
    assert len(train) == 30
    assert [notice.code for notice in notices] == ["near_duplicates_kept_together"]
    assert notices[0].is_blocking
