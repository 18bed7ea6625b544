"""python -m data.conversion MEMORY_MB: converts files that come over standard input, one after the other, within limits set at start.

Runs as a child of `data.reading`. markitdown converts; what it lacks (mail, OpenDocument, delimited text of any kind) is
read with the standard library. Nothing is fetched: sockets are closed to it.
"""

import csv
import email
import email.policy
import io
import re
import resource
import socket
import sys
import zipfile
from collections.abc import Callable
from pathlib import PurePath

from defusedxml import ElementTree
from markitdown import MarkItDown, StreamInfo

from data.canonical import decode
from data.errors import RefusedDocument
from data.wire import receive, send

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIPPED = {".docx", ".pptx", ".xlsx", ".xlsm", ".epub", ".odt", ".ods", ".odp"}
BY_MARKITDOWN = {".pdf", ".docx", ".pptx", ".xlsx", ".xlsm", ".xls", ".html", ".htm", ".epub", ".msg", ".ipynb"}
AS_TEXT = {".json", ".jsonl", ".xml", ".nxml", ".yaml", ".yml", ".toml", ".rss"}
SUPPORTED = "pdf, docx, pptx, xlsx, xls, html, md, txt, csv, tsv, epub, eml, msg, json, ipynb, odt, ods, odp, xml, vtt"
ODF = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}%s"


def main() -> None:
    memory = int(sys.argv[1]) << 20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 20, 256 << 20))
    socket.socket.connect = _no_network
    replies, sys.stdout = sys.stdout.buffer, sys.stderr
    while True:
        try:
            request, data = receive(sys.stdin.buffer)
        except EOFError:
            return
        send(replies, convert(request, data))


def convert(request: dict, data: bytes) -> dict:
    """`text`, `title` and `metadata` of one file, or `reason`, `message` and `next_step` of its refusal."""
    name = request["name"]
    try:
        text, title, metadata = _converter(name, data, request)(data, name)
        return {"text": text, "title": title or "", "metadata": metadata}
    except RefusedDocument as error:
        return {"reason": error.reason, "message": error.message, "next_step": error.next_step}
    except MemoryError:
        raise  # ends this process; the parent starts another
    except Exception as error:
        return _explained(name, error)


def _converter(name: str, data: bytes, limits: dict) -> Callable[[bytes, str], tuple[str, str, dict]]:
    suffix = PurePath(name).suffix.lower()
    if suffix in ZIPPED:
        _check_archive(name, data, limits)
    if suffix in {".odt", ".ods", ".odp"}:
        return _open_document
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
    found = MarkItDown(enable_plugins=False).convert_stream(io.BytesIO(data), stream_info=info)
    return found.text_content, found.title or "", {}


def _mail(data: bytes, name: str) -> tuple[str, str, dict]:
    message = email.message_from_bytes(data, policy=email.policy.default)
    if not message.keys():
        raise RefusedDocument(f"{name} has no mail headers.", reason="corrupt", next_step="Export the message again.")
    body = message.get_body(preferencelist=("plain", "html"))
    text = body.get_content() if body else ""
    if body is not None and body.get_content_subtype() == "html":
        text = _markitdown(text.encode(), "body.html")[0]
    attached = [part.get_filename() or "unnamed" for part in message.iter_attachments()]
    head = [f"{key}: {message[key]}" for key in ("From", "To", "Cc", "Date", "Subject") if message[key]]
    if attached:
        head.append(f"Attachments (not read): {', '.join(attached)}")
    subject = str(message["Subject"] or "")
    metadata = {key.lower(): str(message[key]) for key in ("From", "Date") if message[key]}
    return "\n".join([f"# {subject}" if subject else "", *head, "", text]), subject, metadata


def _delimited(data: bytes, name: str) -> tuple[str, str, dict]:
    text = decode(data, name)
    try:
        dialect = csv.Sniffer().sniff(text[:20_000], delimiters=",;\t|:")
    except csv.Error:
        dialect = csv.excel
    rows = [
        [cell.strip().replace("\n", " ").replace("|", "\\|") for cell in row]
        for row in csv.reader(io.StringIO(text), dialect)
    ]
    return _table([row for row in rows if any(row)]), "", {}


def _open_document(data: bytes, name: str) -> tuple[str, str, dict]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        body = ElementTree.fromstring(archive.read("content.xml")).find(".//" + ODF % ("office", "body"))
    lines: list[str] = []
    _walk(body, lines)
    return "\n\n".join(lines), "", {}


def _walk(node, lines: list[str]) -> None:
    for child in node:
        if child.tag == ODF % ("table", "table"):
            rows = [
                [_said(cell) for cell in row.iter(ODF % ("table", "table-cell"))]
                for row in child.iter(ODF % ("table", "table-row"))
            ]
            lines.append(_table([row for row in rows if any(row)]))
        elif child.tag == ODF % ("text", "h"):
            lines.append("#" * int(child.get(ODF % ("text", "outline-level"), 1)) + " " + _said(child))
        elif child.tag == ODF % ("text", "p"):
            lines.append(_said(child))
        elif child.tag == ODF % ("text", "list-item"):
            lines.append("- " + _said(child))
        else:
            _walk(child, lines)


def _said(node) -> str:
    return " ".join("".join(node.itertext()).split())


def _table(rows: list[list[str]]) -> str:
    if not rows:
        return ""
    width = max(map(len, rows))
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _check_archive(name: str, data: bytes, limits: dict) -> None:
    if data.startswith(OLE):
        raise RefusedDocument(
            f"{name} is encrypted.", reason="encrypted", next_step="Remove its password, then ingest it again."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile:
        raise RefusedDocument(
            f"{name} is damaged: it is no readable {PurePath(name).suffix} file.",
            reason="corrupt",
            next_step="Save it again from its program.",
        ) from None
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits["max_unpacked_mb"] << 20 or (
        unpacked > 10 << 20 and unpacked > limits["max_ratio"] * len(data)
    ):
        raise RefusedDocument(
            f"{name} unpacks to {unpacked >> 20} MiB from {len(data) >> 10} KiB.",
            reason="zip_bomb",
            next_step="If it is honest, raise ASSAY_READING__MAX_UNPACKED_MB and ASSAY_READING__MAX_RATIO.",
        )
    if any(entry.flag_bits & 1 for entry in entries):
        raise RefusedDocument(
            f"{name} is encrypted.", reason="encrypted", next_step="Remove its password, then ingest it again."
        )
    if any(entry.filename.startswith("/") or ".." in entry.filename.split("/") for entry in entries):
        raise RefusedDocument(
            f"{name} holds paths that lead out of it.", reason="hostile", next_step="Do not open it; ask its sender."
        )


def _explained(name: str, error: Exception) -> dict:
    said = f"{type(error).__name__}: {error}"
    if re.search("password|encrypt", said, re.IGNORECASE):
        return {
            "reason": "encrypted",
            "message": f"{name} is encrypted.",
            "next_step": "Remove its password, then ingest it again.",
        }
    return {
        "reason": "corrupt",
        "message": f"{name} could not be converted ({' '.join(said.split())[:200]}).",
        "next_step": "Open it in its own program and save it again.",
    }


def _no_network(*_: object) -> None:
    raise OSError("converting files touches no network")


if __name__ == "__main__":
    main()
