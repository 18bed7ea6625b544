import codecs
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.canonical import canonical, decode, shown, title_of
from data.errors import RefusedDocument


@given(st.text(alphabet=st.one_of(st.characters(codec=None), st.sampled_from("\r\n\x0c\u0301\u200b\ud800 #![]()"))))
def test_canonical_text_is_its_own_canonical_text_and_valid_unicode(text):
    once = canonical(text)
    assert canonical(once) == once
    assert once.encode().decode() == once
    assert not set(once) & {"\r", "\x00", "\u200b", "\u2028"}


def test_line_ends_controls_and_blank_lines_are_made_uniform():
    assert canonical("a  \r\nb\rc\u2028d\x0ce\x00f") == "a\nb\nc\nd\nef"
    assert canonical("a\n\n\n\n\n\n\nb\n\n") == "a\n\n\nb"
    assert canonical("in\xadfor\u200bmation e\u0301") == "information é"


def test_embedded_pictures_leave_their_caption():
    assert canonical("before ![a chart](data:image/png;base64,AAAA/BBB+=) after") == "before a chart after"
    assert canonical("![kept](chart.png)") == "![kept](chart.png)"


@pytest.mark.parametrize(
    "text", ["![" * 200_000, "![](data:" * 50_000, "a" + "\u0327\u0301" * 200_000, "[x](" * 100_000]
)
def test_hostile_text_takes_linear_time(text):
    began = time.monotonic()
    canonical(text)
    assert time.monotonic() - began < 5


def test_a_letter_keeps_thirty_marks_at_most():
    marks = sum(1 for c in canonical("xq" + "\u0327" * 90) if unicodedata.combining(c))
    assert marks == 30
    assert canonical("q\u0327\u0301") == unicodedata.normalize("NFC", "q\u0327\u0301")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-8"])
def test_byte_order_marks_are_followed(encoding):
    assert decode("naïve 文".encode(encoding), "a.txt") == "naïve 文"
    assert codecs.BOM_UTF8.decode() not in decode("x".encode("utf-8-sig"), "a.txt")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Die Übung fällt für größere Häuser öfter aus, daß weiß jeder. " * 20),
        ("cp1251", "Журнал хранится у начальника порта, а ключ у дежурного. " * 20),
        ("shift_jis", "港の台帳は管理人が保管しています。" * 20),
    ],
)
def test_other_encodings_are_guessed(encoding, text):
    assert decode(text.encode(encoding), "a.txt") == text


def test_a_few_bad_bytes_do_not_turn_utf8_into_something_else():
    assert decode(("naïve café " * 30).encode() + b"\xff\xfe" + b" end", "a.txt").startswith("naïve café")


@pytest.mark.parametrize(("data", "reason"), [(b"\x00\x01" * 500, "corrupt"), (b"%PDF-1.7 ...", "wrong_extension")])
def test_what_is_no_text_is_refused_with_a_next_step(data, reason):
    with pytest.raises(RefusedDocument) as caught:
        decode(data, "a.txt")
    assert caught.value.reason == reason
    assert caught.value.next_step


def test_a_title_is_the_given_one_else_the_first_heading_else_the_name():
    assert title_of(" Own *title* ", "# Heading", "file.md") == "Own title"
    assert title_of("", "words\n## The `first` heading ##\n# later", "file.md") == "The first heading"
    assert title_of("", "no heading", "quarterly plan.pdf") == "quarterly plan"
    assert len(title_of("x" * 5000, "", "f")) == 200


def test_a_shown_name_is_one_printable_line():
    assert shown("a\nb\x1b[31m\udcff📎.txt") == "a\ufffdb\ufffd[31m\ufffd📎.txt"
