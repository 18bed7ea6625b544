"""Canonical text: what is stored, cut and cited. The same input always gives the same text."""

import codecs
import re
import unicodedata
from pathlib import PurePath

from charset_normalizer import from_bytes

from data.errors import RefusedDocument

MAX_TITLE = 200
BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
MAGIC = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a zip archive or an Office document",
    b"\xd0\xcf\x11\xe0": "an old or encrypted Office document",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
BREAK = re.compile(r"\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\xad\u200b\u2060\ufeff]")
SURROGATE = re.compile(r"[\ud800-\udfff]")
DATA_URI = re.compile(r"!\[([^\[\]]{0,500})\]\(data:[^()\s]*\)")
MARKS = re.compile(r"[^\w\s\x21-\x7e]{31,}")
MAX_MARKS = 30
"""Combining marks on one letter, as in Unicode's stream-safe text (UAX 15): normalising takes quadratic time in them."""


def canonical(text: str) -> str:
    """NFC, `\\n` line ends, no control or zero-width characters, no embedded pictures, at most two blank lines in a row.

    Takes linear time, whatever the text.
    """
    text = CONTROL.sub("", BREAK.sub("\n", SURROGATE.sub("\ufffd", text)))
    text = DATA_URI.sub(r"\1", unicodedata.normalize("NFC", MARKS.sub(_fewer_marks, text)))
    lines = (line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n").rstrip()


def decode(data: bytes, name: str) -> str:
    """Text of unknown encoding: by its byte order mark, else UTF-8, else guessed. Raises: RefusedDocument for binary data."""
    for mark, kind in MAGIC.items():
        if data.startswith(mark):
            raise RefusedDocument(
                f"{name} is {kind}, not text.",
                reason="wrong_extension",
                next_step="Name it for its real format, then ingest it again.",
            )
    for mark, encoding in BOMS.items():
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    text = data.decode("utf-8", errors="replace")
    if _is_broken_utf8(text, data):
        best = None if b"\x00" in data[:4096] else from_bytes(data[:1_000_000]).best()
        if best is None:
            raise _binary(name)
        return data.decode(best.encoding, errors="replace")
    if text.count("\x00") > len(text) // 100:
        raise _binary(name)
    return text


def title_of(given: str, text: str, name: str) -> str:
    """The document's own title, else its first heading, else the file's name."""
    heading = re.search(r"^#{1,3}\s+(.+?)\s*#*$", text[:4000], re.MULTILINE)
    title = given.strip() or (heading.group(1) if heading else "") or PurePath(name).stem
    return re.sub(r"[*_`]", "", " ".join(canonical(title).split()))[:MAX_TITLE] or name


def _is_broken_utf8(text: str, data: bytes) -> bool:
    """Whether text decoded with replacements was not UTF-8 to begin with; a few bad bytes among many good are forgiven."""
    n_bad = text.count("\ufffd") - data.count("\ufffd".encode())
    n_good = sum(1 for c in text if c > "\x7f") - text.count("\ufffd") if n_bad else 0
    return n_bad > 0 and n_bad * 10 > n_good


def _fewer_marks(run: re.Match[str]) -> str:
    kept: list[str] = []
    n_marks = 0
    for character in run[0]:
        n_marks = n_marks + 1 if unicodedata.combining(character) else 0
        if n_marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def shown(name: str) -> str:
    """A file's name as messages may show it: on one line, without control characters, valid Unicode."""
    return "".join(c if c.isprintable() else "\ufffd" for c in name)


def _binary(name: str) -> RefusedDocument:
    return RefusedDocument(
        f"{name} is binary data, not text.",
        reason="corrupt",
        next_step="Check what it is; name it for its real format.",
    )
