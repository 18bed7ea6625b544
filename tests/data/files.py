"""Small files of every format, written here, and hostile variants of them. Imported by the tests that read files."""

import io
import json
import zipfile
from functools import cache

WORDS = "The harbour master keeps the blue ledger."


def zipped(parts: dict[str, str | bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def with_part(archive: bytes, name: str, content: str | bytes) -> bytes:
    """The archive with one part replaced or added."""
    with zipfile.ZipFile(io.BytesIO(archive)) as old:
        parts = {entry: old.read(entry) for entry in old.namelist()}
    return zipped(parts | {name: content})


def pdf(text: str = WORDS, *, encrypt: bool = False) -> bytes:
    """One page of one line, with a correct cross-reference table."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    if encrypt:  # the standard security handler with a password that is not empty
        key = b"00" * 32
        objects.append(b"<< /Filter /Standard /V 1 /R 2 /O <%s> /U <%s> /P -4 >>" % (key, key))
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"/Encrypt 6 0 R /ID [<00> <00>] " if encrypt else b""
    return (
        out
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n"
        % (
            len(objects) + 1,
            table,
            len(objects) + 1,
            trailer,
            len(out),
        )
    )


def docx(text: str = WORDS, declaration: str = "") -> bytes:
    return zipped(
        {
            "[Content_Types].xml": '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/'
            'content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships'
            '+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
            'wordprocessingml.document.main+xml"/></Types>',
            "_rels/.rels": '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
            'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
            'relationships/officeDocument" Target="word/document.xml"/></Relationships>',
            "word/document.xml": f'<?xml version="1.0"?>{declaration}<w:document xmlns:w="http://schemas.openxmlformats'
            f'.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>',
        }
    )


def pptx(text: str = WORDS) -> bytes:
    from pptx import Presentation

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = text
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def xlsx(text: str = WORDS) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["what", "who"])
    book.active.append(["ledger", text])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def epub(text: str = WORDS, declaration: str = "") -> bytes:
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
            '<rootfiles><rootfile full-path="c.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
            "c.opf": f'<?xml version="1.0"?>{declaration}<package xmlns="http://www.idpf.org/2007/opf" version="2.0"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Harbours</dc:title></metadata><manifest>'
            '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/>'
            "</spine></package>",
            "a.xhtml": f"<html><body><h1>One</h1><p>{text}</p></body></html>",
        }
    )


def odt(text: str = WORDS, declaration: str = "") -> bytes:
    names = " ".join(
        f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"'
        for n in ("office", "text", "table", "presentation")
    )
    body = (
        f'<text:tracked-changes><text:p>withdrawn sentence</text:p></text:tracked-changes><text:h text:outline-level="2">'
        f"Duties</text:h><text:p>{text}</text:p><text:list><text:list-item><text:p>first item</text:p></text:list-item>"
        "</text:list><table:table><table:table-row><table:table-cell><text:p>a|b</text:p></table:table-cell>"
        '<table:table-cell table:number-columns-repeated="2"/><table:table-cell><text:p>d</text:p></table:table-cell>'
        '<table:table-cell table:number-columns-repeated="16000"/></table:table-row></table:table>'
    )
    return zipped(
        {
            "content.xml": f'<?xml version="1.0"?>{declaration}<office:document-content {names}><office:body><office:text>'
            f"{body}</office:text></office:body></office:document-content>",
            "meta.xml": '<m xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Harbour rules</dc:title></m>',
        }
    )


def ipynb(text: str = WORDS) -> bytes:
    cell = {"cell_type": "markdown", "metadata": {}, "source": [f"# Notes\n\n{text}"]}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def eml(text: str = WORDS) -> bytes:
    return (
        "From: Ada <ada@example.org>\r\nTo: Bo <bo@example.org>\r\nSubject: The ledger\r\n"
        "Date: Mon, 2 Nov 2026 09:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        f"--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n--x\r\nContent-Type: application/pdf\r\n"
        "Content-Disposition: attachment; filename=plan.pdf\r\n\r\nxx\r\n--x--\r\n"
    ).encode()


@cache  # some formats hold the time, and so have another length now and then
def every_format() -> dict[str, bytes]:
    html = f"<html><head><title>Harbours</title></head><body><h1>Duties</h1><p>{WORDS}</p></body></html>"
    return {
        "a.pdf": pdf(),
        "a.docx": docx(),
        "a.pptx": pptx(),
        "a.xlsx": xlsx(),
        "a.html": html.encode(),
        "a.htm": html.encode(),
        "a.md": f"# Duties\n\n{WORDS}".encode(),
        "a.txt": WORDS.encode(),
        "a.csv": f"what;who\nledger;{WORDS}\nrope;nobody\n".encode(),
        "a.tsv": f"what\twho\nledger\t{WORDS}\n".encode(),
        "a.epub": epub(),
        "a.eml": eml(),
        "a.json": json.dumps({"duty": WORDS}).encode(),
        "a.ipynb": ipynb(),
        "a.odt": odt(),
        "a.xml": f"<root><title>Duties</title><p>The harbour master <i>keeps</i> {WORDS[24:]}</p></root>".encode(),
        "a.vtt": f"WEBVTT\n\n00:01.000 --> 00:02.000\n{WORDS}\n".encode(),
        "a.yaml": f"duty: {WORDS}\n".encode(),
    }
