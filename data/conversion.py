"""python -m data.conversion MEMORY_MB: converts files that come over standard input, one after the other, within limits set at start.

Runs as a child of `data.reading`. markitdown converts; what it lacks (mail, OpenDocument, delimited text of any kind) is
read with the standard library. Nothing is fetched: sockets are closed to it.
"""

import csv
import email
import email.policy
import io
import os
import re
import resource
import signal
import socket
import sys
from collections.abc import Callable
from email.message import EmailMessage
from functools import cache
from pathlib import PurePath

from markitdown import MarkItDown, StreamInfo
from markitdown.converters import (
    DocxConverter,
    EpubConverter,
    HtmlConverter,
    IpynbConverter,
    OutlookMsgConverter,
    PdfConverter,
    PptxConverter,
    XlsConverter,
    XlsxConverter,
)
from pptx.shapes.autoshape import Shape

from data.archives import check_archive, encrypted
from data.canonical import decode
from data.errors import RefusedDocument
from data.wire import receive, send
from data.xml_text import cell, open_document, plain_xml, table

ALARM_AFTER_S = 5
"""A converter whose parent is gone ends itself this long after its time limit."""
ZIPPED = {".docx", ".pptx", ".xlsx", ".xlsm", ".epub", ".odt", ".ods", ".odp"}
BY_MARKITDOWN = {".pdf", ".docx", ".pptx", ".xlsx", ".xlsm", ".xls", ".html", ".htm", ".epub", ".msg", ".ipynb"}
CONVERTERS = (
    HtmlConverter,  # the last one registered is asked first
    PdfConverter,
    DocxConverter,
    PptxConverter,
    XlsxConverter,
    XlsConverter,
    EpubConverter,
    OutlookMsgConverter,
    IpynbConverter,
)
AS_TEXT = {".json", ".jsonl", ".yaml", ".yml", ".toml"}
XML = {".xml", ".nxml", ".rss", ".atom"}
OPEN_DOCUMENT = {".odt", ".ods", ".odp"}
SUPPORTED = "pdf, docx, pptx, xlsx, xls, html, md, txt, csv, tsv, epub, eml, msg, json, ipynb, odt, ods, odp, xml, vtt"


def main() -> None:
    memory = int(sys.argv[1]) << 20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 20, 256 << 20))
    socket.socket.connect = _no_network
    Shape.shape_type = property(_shape_type(Shape.shape_type.fget))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with replies
    while True:
        try:
            request, data = receive(sys.stdin.buffer)
        except EOFError:
            return
        signal.alarm(int(request["timeout_s"]) + ALARM_AFTER_S)
        reply = convert(request, data)
        signal.alarm(0)
        send(replies, reply)
        if reply.get("reason") == "out_of_memory":
            return


def convert(request: dict, data: bytes) -> dict:
    """`text`, `title` and `metadata` of one file, or `reason`, `message` and `next_step` of its refusal."""
    name = request["name"]
    try:
        text, title, metadata = _converter(name, data, request)(data, name)
        if len(text) > request["max_characters"]:
            raise RefusedDocument(
                f"{name} has {len(text)} characters; at most {request['max_characters']} are read.",
                reason="too_large",
                next_step="Split it, or raise ASSAY_READING__MAX_CHARACTERS.",
            )
        return {"text": text, "title": title or "", "metadata": metadata}
    except Exception as error:
        refused = error if isinstance(error, RefusedDocument) else _explained(name, error, request)
        return {"reason": refused.reason, "message": refused.message, "next_step": refused.next_step}


def _converter(name: str, data: bytes, limits: dict) -> Callable[[bytes, str], tuple[str, str, dict]]:
    suffix = PurePath(name).suffix.lower()
    if suffix in ZIPPED:
        check_archive(name, data, limits)
    if suffix == ".pdf" and b"%PDF-" not in data[:1024]:
        raise RefusedDocument(
            f"{name} is no PDF, whatever its name says.",
            reason="wrong_extension",
            next_step="Name it for its real format, or save it again from its program.",
        )
    if suffix in OPEN_DOCUMENT:
        return open_document
    if suffix in XML:
        return plain_xml
    if suffix in BY_MARKITDOWN:
        return _markitdown
    if suffix == ".eml":
        return _mail
    if suffix in {".csv", ".tsv"}:
        return _delimited
    if suffix in AS_TEXT:
        return lambda data, name: (decode(data, name), "", {})
    raise RefusedDocument(
        f"{name} is of a kind that is not read ({suffix or 'no suffix'}).",
        reason="unsupported",
        next_step=f"Convert it to one of: {SUPPORTED}.",
    )


def _markitdown(data: bytes, name: str) -> tuple[str, str, dict]:
    suffix = PurePath(name).suffix.lower()
    info = StreamInfo(extension=".xlsx" if suffix == ".xlsm" else suffix, filename=name)
    found = _library().convert_stream(io.BytesIO(data), stream_info=info)
    return found.text_content, found.title or "", {}


@cache
def _library() -> MarkItDown:
    """markitdown with the converters of the formats above, and no others: its own for zips would open nested archives."""
    library = MarkItDown(enable_builtins=False, enable_plugins=False)
    for converter in CONVERTERS:
        library.register_converter(converter())
    return library


def _mail(data: bytes, name: str) -> tuple[str, str, dict]:
    message = email.message_from_bytes(data, policy=email.policy.default)
    if not message.keys():
        raise RefusedDocument(f"{name} has no mail headers.", reason="corrupt", next_step="Export the message again.")
    body = message.get_body(preferencelist=("plain", "html"))
    text = _content(body) if body is not None else ""
    if body is not None and body.get_content_subtype() == "html":
        text = _markitdown(text.encode(), "body.html")[0]
    attached = [part.get_filename() or "unnamed" for part in message.iter_attachments()]
    head = [f"{key}: {message[key]}" for key in ("From", "To", "Cc", "Date", "Subject") if message[key]]
    if attached:
        head.append(f"Attachments (not read): {', '.join(attached)}")
    subject = str(message["Subject"] or "")
    metadata = {key.lower(): str(message[key]) for key in ("From", "Date") if message[key]}
    return "\n".join([f"# {subject}" if subject else "", *head, "", text]), subject, metadata


def _content(part: EmailMessage) -> str:
    try:
        return part.get_content()
    except LookupError:  # a character set that Python does not know
        return decode(part.get_payload(decode=True) or b"", "its body")


def _delimited(data: bytes, name: str) -> tuple[str, str, dict]:
    text = decode(data, name)
    try:
        dialect = csv.Sniffer().sniff(text[:20_000], delimiters=",;\t|:")
    except csv.Error:
        dialect = csv.excel
    csv.field_size_limit(len(text) + 1)
    rows = [[cell(value) for value in row] for row in csv.reader(io.StringIO(text), dialect)]
    return table([row for row in rows if any(row)]), "", {}


def _explained(name: str, error: Exception, limits: dict) -> RefusedDocument:
    said = " ".join(f"{type(error).__name__}: {error}".split())
    if re.search(r"MemoryError|bad_alloc|[Uu]nable to allocate", said):
        return RefusedDocument(
            f"{name} needs more memory to convert than is allowed ({limits['memory_mb']} MiB).",
            reason="out_of_memory",
            next_step="Split it, or raise ASSAY_READING__MEMORY_MB.",
        )
    if re.search("RecursionError|recursion depth", said):
        return RefusedDocument(
            f"{name} is nested too deeply.", reason="hostile", next_step="Simplify it, if it is honest."
        )
    if re.search("Entit(y|ies)(Forbidden|ReferenceForbidden)|amplification", said):
        return RefusedDocument(
            f"{name} declares XML entities, which could expand without end or read other files.",
            reason="hostile",
            next_step="Do not open it; ask its sender.",
        )
    if re.search("password|encrypt", said, re.IGNORECASE):
        return encrypted(name)
    return RefusedDocument(
        f"{name} could not be converted ({said[:200]}).",
        reason="corrupt",
        next_step="Open it in its own program and save it again.",
    )


def _shape_type(known: Callable[[Shape], object]) -> Callable[[Shape], object]:
    """A shape of a kind that python-pptx does not know must not cost the whole deck."""

    def tolerant(shape: Shape) -> object:
        try:
            return known(shape)
        except NotImplementedError:
            return None

    return tolerant


def _no_network(*_: object) -> None:
    raise OSError("converting files touches no network")


if __name__ == "__main__":
    main()
