import pytest

from data.errors import ModelUnavailable
from serving.local.token_rows import TokenRows, window_starts
from tests.serving.local.small_bert import VOCABULARY, write_tokenizer

CLS, SEP = 2, 3


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return TokenRows(write_tokenizer(tmp_path_factory.mktemp("tokens")))


def words(encoded):
    return " ".join(VOCABULARY[i] for i in encoded.ids)


def test_one_text_is_cut_at_its_end(tokens):
    assert words(tokens.text("The mill burned down.", 6)) == "[CLS] the mill burned down [SEP]"
    assert tokens.text("", 6).ids == (CLS, SEP)


def test_windows_overlap_and_reach_the_end(tokens):
    cut = tokens.windows("the mill was built in 1790 . dog raised alarm", 6)
    assert [words(window)[6:-6] for window in cut] == [
        "the mill was built",
        "built in 1790 .",
        ". dog raised alarm",
    ]
    assert len(tokens.windows("the mill", 6)) == 1


def test_of_two_texts_the_longer_one_is_cut_first(tokens):
    pair = tokens.pair("the mill was built in 1790", "dog raised alarm", 10)
    assert words(pair) == "[CLS] the mill was built [SEP] dog raised alarm [SEP]"
    assert pair.types == (0,) * 6 + (1,) * 4


def test_a_question_stands_before_each_stretch_and_offsets_lead_back_into_the_context(tokens):
    context = "The mill was built in 1790. It burned down."
    cut = tokens.question_windows("When was it built?", context, max_length=14, stride=3)
    assert all(words(window).startswith("[CLS] when was [UNK] built ? [SEP]") for window in cut)
    read = [context[start:end] for window in cut for start, end in window.offsets]
    assert read[0] == "The"
    assert read[-1] == "."
    for window in cut:
        assert len(window.ids) <= 14
        assert window.ids[window.first] == window.ids[window.first : -1][0]
        assert len(window.offsets) == len(window.ids) - window.first - 1


@pytest.mark.parametrize(
    ("n", "room", "overlap", "starts"),
    [(0, 4, 1, [0]), (4, 4, 1, [0]), (5, 4, 1, [0, 3]), (9, 4, 4, [0, 1, 2, 3, 4, 5])],
)
def test_windows_begin_so_that_the_last_one_reaches_the_end(n, room, overlap, starts):
    assert window_starts(n, room, overlap) == starts


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(ModelUnavailable, match="tokenizer"):
        TokenRows(tmp_path).text("x", 8)
