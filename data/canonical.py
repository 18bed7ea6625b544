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
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\ufeff]")
DATA_URI = re.compile(r"!\[([^\]]*)\]\(data:[^)]*\)")


def canonical(text: str) -> str:
    """NFC, `\\n` line ends, no control or zero-width characters, no embedded pictures, at most two blank lines in a row."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n"))
    text = DATA_URI.sub(r"\1", CONTROL.sub("", text))
    lines = (line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip("\n").rstrip()


def decode(data: bytes, name: str) -> str:
    """Text of unknown encoding: by its byte order mark, else UTF-8, else guessed. Raises: RefusedDocument for binary data."""
    for mark, encoding in BOMS.items():
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        best = None if b"\x00" in data[:4096] else from_bytes(data[:1_000_000]).best()
        if best is None:
            raise _binary(name) from None
        return data.decode(best.encoding, errors="replace")
    if text.count("\x00") > len(text) // 100:
        raise _binary(name)
    return text


def title_of(given: str, text: str, name: str) -> str:
    """The document's own title, else its first heading, else the file's name."""
    heading = re.search(r"^#{1,3}\s+(.+?)\s*#*$", text[:4000], re.MULTILINE)
    title = given.strip() or (heading.group(1) if heading else "") or PurePath(name).stem
    return re.sub(r"[*_`]", "", " ".join(canonical(title).split()))[:MAX_TITLE] or name


def _binary(name: str) -> RefusedDocument:
    return RefusedDocument(
        f"{name} is binary data, not text.",
        reason="corrupt",
        next_step="Check what it is; name it for its real format.",
    )
