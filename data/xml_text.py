"""The XML formats that markitdown lacks: OpenDocument (odt, ods, odp) and plain XML, as text with headings and tables.

Entities are refused, so nothing expands and nothing outside the file is read. Knows nothing of processes or limits.
"""

import io
import zipfile
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from data.canonical import decode
from data.errors import RefusedDocument

ODF = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}%s"
TITLE = "{http://purl.org/dc/elements/1.1/}title"
LEFT_OUT = {ODF % ("text", "tracked-changes"), ODF % ("office", "annotation"), ODF % ("presentation", "notes")}
SPACES = {ODF % ("text", tag) for tag in ("p", "s", "tab", "line-break")}
MAX_REPEATED = 50
"""Cells that one cell may stand for; sheets pad their rows to thousands of empty ones."""
TITLES = {"title", "article-title", "head", "heading"}


def open_document(data: bytes, name: str) -> tuple[str, str, dict]:
    """Text, title and metadata of an OpenDocument file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        body = _parsed(archive.read("content.xml"), name).find(".//" + ODF % ("office", "body"))
        has_meta = "meta.xml" in archive.namelist()
        meta = _parsed(archive.read("meta.xml"), name).find(f".//{TITLE}") if has_meta else None
    if body is None:
        raise ValueError("content.xml has no body")
    return "\n\n".join(_blocks(body)), (meta.text or "") if meta is not None else "", {}


def plain_xml(data: bytes, name: str) -> tuple[str, str, dict]:
    """One block of text per element that holds text of its own; the raw text where the XML is not well-formed."""
    try:
        root = _parsed(data, name)
    except ParseError:
        return decode(data, name), "", {}
    return "\n\n".join(_texts(root)), "", {}


def table(rows: list[list[str]]) -> str:
    """A Markdown table; rows may differ in length."""
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def cell(text: str) -> str:
    """`text` on one line, with nothing that ends a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _parsed(data: bytes, name: str) -> Element:
    try:
        return ElementTree.fromstring(data)
    except DefusedXmlException as error:
        raise RefusedDocument(
            f"{name} declares XML entities, which could expand without end or read other files.",
            reason="hostile",
            next_step="Remove its <!ENTITY ...> declarations, if it is honest.",
        ) from error


def _blocks(node: Element) -> Iterator[str]:
    for child in node:
        if child.tag in LEFT_OUT:
            continue
        if child.tag == ODF % ("table", "table"):
            yield table([row for row in map(_row, child.iter(ODF % ("table", "table-row"))) if any(row)])
        elif child.tag == ODF % ("text", "h"):
            yield "#" * int(child.get(ODF % ("text", "outline-level"), 1)) + " " + _said(child)
        elif child.tag == ODF % ("text", "p"):
            yield _said(child)
        elif child.tag == ODF % ("text", "list-item"):
            yield "- " + _said(child)
        else:
            yield from _blocks(child)


def _row(node: Element) -> list[str]:
    cells: list[str] = []
    for child in node:
        if child.tag in (ODF % ("table", "table-cell"), ODF % ("table", "covered-table-cell")):
            repeated = int(child.get(ODF % ("table", "number-columns-repeated"), 1))
            cells += [cell(_said(child))] * min(repeated, MAX_REPEATED)
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _texts(node: Element) -> Iterator[str]:
    name = node.tag.rpartition("}")[2] if isinstance(node.tag, str) else ""
    is_mixed = bool((node.text or "").strip()) or any((child.tail or "").strip() for child in node)
    if is_mixed or not len(node):
        if said := _said(node):
            yield f"## {said}" if name in TITLES else said
        return
    for child in node:
        yield from _texts(child)


def _said(node: Element) -> str:
    """All text below `node` on one line."""
    return " ".join("".join(_parts(node)).split())


def _parts(node: Element) -> Iterator[str]:
    yield node.text or ""
    for child in node:
        if child.tag in SPACES:
            yield " "
        if child.tag not in LEFT_OUT:
            yield from _parts(child)
        yield child.tail or ""
