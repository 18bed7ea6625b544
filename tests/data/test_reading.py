import json
import os
import random
import time

import pytest

from data.errors import RefusedDocument
from data.folder import FoundFile
from data.reading import Reader, ReadingConfig, file_sha256
from tests.data import files

OUTSIDE = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
LAUGHS = (
    '<!DOCTYPE d [<!ENTITY a "ha ha ha ha ha ha ha ha ">'
    + "".join(f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)


@pytest.fixture(scope="module")
def reader():
    with Reader(ReadingConfig(workers=1, timeout_s=30)) as made:
        yield made


def refusal(reader: Reader, name: str, content) -> RefusedDocument:
    with pytest.raises(RefusedDocument) as caught:
        reader.read(name, content)
    assert caught.value.next_step
    assert name[:20] in caught.value.message or "\ufffd" in caught.value.message
    return caught.value


def outcome(reader: Reader, name: str, content: bytes) -> tuple[str, str]:
    """(text, '') of a file that was read, (what was said, reason) of one that was refused."""
    try:
        return reader.read(name, content).text, ""
    except RefusedDocument as error:
        return f"{error.message} {error.next_step}", error.reason


@pytest.mark.parametrize("name", sorted(files.every_format()))
@pytest.mark.slow
def test_every_supported_format_gives_its_text(reader, name):
    read = reader.read(name, files.every_format()[name])
    assert files.WORDS in " ".join(read.text.replace("*", "").split())
    assert read.size_bytes == len(files.every_format()[name])


def test_an_open_document_keeps_headings_lists_and_table_columns_and_leaves_out_what_was_deleted(reader):
    read = reader.read("a.odt", files.odt())
    assert read.title == "Harbour rules"
    assert "## Duties" in read.text
    assert "- first item" in read.text
    assert r"| a\|b |  |  | d |" in read.text
    assert "withdrawn" not in read.text


def test_a_mail_keeps_its_headers_and_names_what_was_not_read(reader):
    read = reader.read("a.eml", files.eml())
    assert read.title == "The ledger"
    assert "plan.pdf" in read.text
    assert read.metadata["from"] == "Ada <ada@example.org>"


def test_a_mail_in_an_unknown_character_set_is_still_read(reader):
    assert files.WORDS in reader.read("a.eml", files.eml().replace(b"charset=utf-8", b"charset=x-lost")).text


def test_a_shape_of_unknown_kind_does_not_cost_the_deck(reader):
    import io

    from pptx import Presentation

    deck = Presentation(io.BytesIO(files.pptx()))
    box = deck.slides[0].shapes.add_textbox(0, 0, 9, 9)
    box.text_frame.text = "in an odd shape"
    box._element.nvSpPr.cNvSpPr.attrib.pop("txBox")
    geometry = box._element.spPr.find("{http://schemas.openxmlformats.org/drawingml/2006/main}prstGeom")
    box._element.spPr.remove(geometry)
    out = io.BytesIO()
    deck.save(out)
    with pytest.raises(NotImplementedError):
        _ = Presentation(io.BytesIO(out.getvalue())).slides[0].shapes[1].shape_type
    assert "in an odd shape" in reader.read("a.pptx", out.getvalue()).text


@pytest.mark.parametrize("suffix", ["pdf", "docx", "xlsx", "txt", "html", "json"])
def test_an_empty_file_is_refused(reader, suffix):
    assert refusal(reader, f"a.{suffix}", b"").reason == "empty"


def test_a_file_without_text_is_refused_as_such(reader):
    assert refusal(reader, "scan.pdf", files.pdf("")).reason == "no_text"
    assert refusal(reader, "blank.txt", b" \n\n\x00\n").reason in {"no_text", "corrupt"}


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.xlsx", "a.pptx", "a.epub", "a.odt"])
def test_a_truncated_file_is_refused_or_gives_what_is_left(reader, name):
    whole = files.every_format()[name]
    text, reason = outcome(reader, name, whole[: len(whole) * 2 // 3])
    assert files.WORDS in text or reason in {"corrupt", "no_text"}


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptx", "a.epub", "a.odt"])
def test_a_zip_that_is_no_document_is_refused_as_corrupt(reader, name):
    assert refusal(reader, name, files.zipped({"readme.md": "hello from the zip"})).reason == "corrupt"


def test_encrypted_files_are_named_as_such(reader):
    assert refusal(reader, "a.pdf", files.pdf(encrypt=True)).reason == "encrypted"
    office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512) + "EncryptedPackage".encode("utf-16-le") + bytes(512)
    assert refusal(reader, "a.docx", office).reason == "encrypted"
    manifest = '<m><file-entry full-path="content.xml"><encryption-data/></file-entry></m>'
    assert (
        refusal(reader, "a.odt", files.with_part(files.odt(), "META-INF/manifest.xml", manifest)).reason == "encrypted"
    )
    drm = '<encryption><CipherReference URI="a.xhtml"/></encryption>'
    assert (
        refusal(reader, "a.epub", files.with_part(files.epub(), "META-INF/encryption.xml", drm)).reason == "encrypted"
    )
    fonts = drm.replace("a.xhtml", "font.otf")
    assert files.WORDS in reader.read("a.epub", files.with_part(files.epub(), "META-INF/encryption.xml", fonts)).text


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.epub", "a.pptx", "a.odt"])
@pytest.mark.slow
def test_a_zip_bomb_is_refused_before_anything_unpacks_it(reader, name):
    bomb = files.with_part(files.every_format()[name], "word/media/zeros.bin", bytes(60 << 20))
    began = time.monotonic()
    assert refusal(reader, name, bomb).reason == "zip_bomb"
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("path", ["../../etc/cron.d/x", "/etc/passwd", "..\\..\\x.dll", "C:\\x.dll", "a/../../b"])
def test_an_archive_whose_paths_lead_out_is_refused(reader, path):
    assert refusal(reader, "a.docx", files.with_part(files.docx(), path, "x")).reason == "hostile"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.docx", files.docx("&x;", OUTSIDE)),
        ("a.odt", files.odt("&x;", OUTSIDE)),
        ("a.epub", files.with_part(files.epub(declaration=OUTSIDE), "a.xhtml", f"{OUTSIDE}<html><p>&x;</p></html>")),
        ("a.xml", f"{OUTSIDE}<d>&x;</d>".encode()),
        ("a.html", f"{OUTSIDE}<html><p>&x; and words</p></html>".encode()),
        ("a.docx", files.docx("&i;", LAUGHS)),
        ("a.odt", files.odt("&i;", LAUGHS)),
        ("a.xml", f"{LAUGHS}<d>&i;</d>".encode()),
        ("a.rss", f"{LAUGHS}<rss><channel><title>&i;</title></channel></rss>".encode()),
    ],
)
def test_entities_neither_read_files_nor_expand_without_end(reader, name, content):
    text, reason = outcome(reader, name, content)
    assert reason in {"", "hostile", "corrupt", "no_text"}
    assert "root:" not in text
    assert len(text) < 100_000


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", files.pdf(), "a PDF"),
        ("a.md", files.docx(), "a zip archive or an Office document"),
        ("a.csv", files.xlsx(), "a zip archive or an Office document"),
        ("a.json", b"\x89PNG\r\n\x1a\n" + bytes(100), "a picture"),
        ("a.pdf", files.docx(), "no PDF"),
        ("a.pdf", b"plain words", "no PDF"),
    ],
)
def test_a_file_under_a_wrong_extension_is_named_as_such(reader, name, content, says):
    error = refusal(reader, name, content)
    assert error.reason == "wrong_extension"
    assert says in error.message


def test_text_of_one_format_under_a_zipped_name_is_corrupt(reader):
    assert refusal(reader, "a.docx", b"plain words").reason == "corrupt"


@pytest.mark.parametrize("name", ["a.doc", "a.zip", "a.exe", "a.jpg", "a", "a.mp3", "a.rtf"])
def test_a_format_that_is_not_read_says_which_are(reader, name):
    error = refusal(reader, name, b"some bytes")
    assert error.reason == "unsupported"
    assert "docx" in error.next_step


def test_binary_data_under_a_text_name_is_refused(reader):
    chance = random.Random(7)
    assert refusal(reader, "a.txt", chance.randbytes(200_000)).reason == "corrupt"
    assert refusal(reader, "a.log", b"\x7fELF" + bytes(5000)).reason == "corrupt"


def test_text_survives_bad_bytes_nul_bytes_and_one_endless_line(reader):
    assert reader.read("a.txt", "naïve café ".encode() * 50 + b"\xff" + b" end").text.startswith("naïve café")
    assert reader.read("a.txt", b"one\x00two " * 1 + b"words " * 200).text.startswith("onetwo")
    line = b"word " * 200_000
    assert len(reader.read("a.txt", line).text) == len(line) - 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", b"<div>" * 50_000 + b"deep" + b"</div>" * 50_000),
        ("a.json", b"[" * 200_000 + b"]" * 200_000),
        ("a.ipynb", b'{"cells": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
        ("a.xml", b"<a>" * 50_000 + b"deep" + b"</a>" * 50_000),
        ("a.txt", b"![" * 300_000),
        ("a.txt", b"a" + "\u0327\u0301".encode() * 300_000),
    ],
)
@pytest.mark.slow
def test_deep_nesting_and_pathological_text_end_soon(reader, name, content):
    began = time.monotonic()
    text, reason = outcome(reader, name, content)
    assert text or reason in {"hostile", "corrupt"}
    assert time.monotonic() - began < 25
    assert reader.read("after.html", b"<p>still here</p>").text == "still here"


CHILD = """
import os, signal, sys, time
from data.wire import receive, send
while True:
    try:
        request, data = receive(sys.stdin.buffer)
    except EOFError:
        sys.exit()
    what = data.decode()
    if what == "hang":
        time.sleep(600)
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "babble":
        sys.stdout.buffer.write(b"x" * 100)
        sys.stdout.flush()
    send(sys.stdout.buffer, {"text": what + " " + str(os.getpid()), "title": "", "metadata": {}})
"""


@pytest.fixture
def scripted():
    with Reader(ReadingConfig(workers=2, timeout_s=1.5, recycle_after=3), command=("-c", CHILD)) as made:
        yield made


@pytest.mark.parametrize(("what", "reason"), [("hang", "timeout"), ("die", "crashed"), ("babble", "crashed")])
@pytest.mark.slow
def test_a_converter_that_hangs_or_dies_costs_its_file_alone(scripted, tmp_path, what, reason):
    found = []
    for n, content in enumerate(["one", "two", what, "three", "four", "five"]):
        path = tmp_path / f"{n}.json"
        path.write_text(content)
        found.append(FoundFile(path, path.as_uri(), len(content)))
    outcomes = [read for _, read in scripted.read_many(found)]
    assert [getattr(o, "reason", "read") for o in outcomes] == ["read"] * 2 + [reason] + ["read"] * 3
    assert outcomes[2].next_step


def test_a_process_is_replaced_after_its_share_of_files(scripted):
    pids = [scripted.read("a.json", b"x").text.split()[1] for _ in range(7)]
    assert len(set(pids)) == 3
    assert not _is_alive(int(pids[0]))


def test_leaving_early_waits_for_no_conversion(tmp_path):
    with Reader(ReadingConfig(workers=2, timeout_s=60), command=("-c", CHILD)) as reader:
        found = []
        for n, content in enumerate(["one"] + ["hang"] * 9):
            path = tmp_path / f"{n}.json"
            path.write_text(content)
            found.append(FoundFile(path, path.as_uri(), 3))
        outcomes = reader.read_many(found)
        next(outcomes)
        began = time.monotonic()
        outcomes.close()
        assert time.monotonic() - began < 5


@pytest.mark.slow
def test_a_file_that_needs_too_much_memory_is_refused_and_the_next_is_read():
    with Reader(ReadingConfig(workers=1, memory_mb=700, timeout_s=300)) as reader:
        assert reader.read("a.html", b"<p>fits</p>").text == "fits"
        rows = "<tr>" + "<td>cell</td>" * 50 + "</tr>"
        error = refusal(reader, "big.html", f"<table>{rows * 30_000}</table>".encode())
        assert error.reason in {"out_of_memory", "crashed"}
        assert "ASSAY_READING__MEMORY_MB" in error.next_step
        assert reader.read("b.html", b"<p>after</p>").text == "after"


@pytest.mark.slow
def test_a_huge_file_is_refused_unread_and_a_long_text_too():
    with Reader(ReadingConfig(workers=1, max_file_mb=1, max_characters=5000)) as reader:
        assert refusal(reader, "a.txt", bytes(2 << 20)).reason == "too_large"
        assert refusal(reader, "b.txt", b"word " * 2000).reason == "too_large"
        assert refusal(reader, "b.json", json.dumps("word " * 2000).encode()).reason == "too_large"


def test_a_sparse_file_far_over_the_limit_is_not_read_whole(tmp_path):
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with Reader(ReadingConfig(max_file_mb=1)) as reader:
        assert refusal(reader, "a.txt", path).reason == "too_large"


def test_a_pipe_that_took_the_place_of_a_file_is_not_waited_for(reader, tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    assert refusal(reader, "a.txt", tmp_path / "a.txt").reason == "not_a_file"
    with pytest.raises(RefusedDocument):
        file_sha256(tmp_path / "a.txt")


def test_a_file_that_vanishes_before_it_is_read_is_unreadable(reader, tmp_path):
    gone = tmp_path / "gone.txt"
    ((_, outcome),) = reader.read_many([FoundFile(gone, gone.as_uri(), 5)])
    assert outcome.reason == "unreadable"


def test_a_file_that_changes_while_read_is_stored_with_the_hash_of_what_was_read(reader, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    before = file_sha256(path)
    path.write_text("after")
    read = reader.read("a.txt", path)
    assert read.text == "after"
    assert read.file_sha256 == file_sha256(path) != before


@pytest.mark.parametrize(
    "name", ["line\nbreak.txt", "\udcff\udcfe.txt", "\x1b[31mred.txt", "📎 plan.txt", "x" * 250 + ".txt"]
)
def test_odd_names_give_valid_titles_and_messages(reader, name):
    read = reader.read(name, b"no heading here")
    assert read.title.encode()
    assert read.title.isprintable()
    error = refusal(reader, name, b"")
    assert error.message.encode()
    assert "\n" not in error.message
    assert "\x1b" not in error.message


@pytest.mark.slow
def test_a_converter_has_no_network_and_none_of_our_environment(monkeypatch):
    monkeypatch.setenv("ASSAY_LLM__API_KEY", "very secret")
    look = 'import os, sys\nfrom data.wire import *\nr, d = receive(sys.stdin.buffer)\nsend(sys.stdout.buffer, {"text": repr(dict(os.environ)), "title": "", "metadata": {}})'
    with Reader(ReadingConfig(workers=1), command=("-c", look)) as reader:
        assert "very secret" not in reader.read("a.json", b"{}").text


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
