import pytest

from finetune.encoders.sentence_corpus import BLOCK, GUARD, group_of, plain


@pytest.mark.parametrize(
    ("tokenised", "written"),
    [
        ("the -lrb- old -rrb- city , of lima .", "the (old) city, of lima."),
        ("kanye west 's song did n't sell", "kanye west's song didn't sell"),
        ("`` yes '' , she said", '" yes ", she said'),
        ("it costs $ 40 ; 19.7 % more", "it costs $40; 19.7% more"),
    ],
)
def test_tokenised_text_reads_as_people_write(tokenised, written):
    assert plain(tokenised) == written


def test_a_sentence_near_the_edge_of_a_block_belongs_to_both():
    assert group_of(BLOCK // 2) == ("block:0",)
    assert group_of(BLOCK - 1) == ("block:0", "block:1")
    assert group_of(BLOCK + GUARD - 1) == ("block:0", "block:1")
    assert group_of(BLOCK + GUARD) == ("block:1",)
