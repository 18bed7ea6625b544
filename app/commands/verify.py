"""assay verify receipt.json [--text doc_0123456789abcdef=handbook.txt]"""

import json
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, ValidationError

from app.commands.console import AsJson, print_json
from data.errors import InvalidInput

app = typer.Typer()


@app.command(epilog="Example: assay verify receipt.json --text doc_0123456789abcdef=handbook.txt")
def verify(
    path: Annotated[
        Path, typer.Argument(help="A receipt, as `GET /v1/receipts/{id}` returns it, or an erasure certificate.")
    ],
    text: Annotated[list[str] | None, typer.Option(help="A document's canonical text: ID=FILE; repeatable.")] = None,
    key: Annotated[str, typer.Option(help="The public key (hex) that a certificate must be signed with.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check a receipt offline: its hash, the quotes' hashes and offsets, and with --text that they stand in the documents.

    Needs no database and no network. Exit 1 when a check fails. Also checks an erasure certificate: its signature, and that
    no probe found a trace.
    """
    from app.receipts import Verification
    from app.receipts import verify as verify_receipt
    from data.records import Receipt

    body = _json(path)
    if "probes" in body:
        found = Verification(checks=tuple(_certificate_checks(path, body, key.lower())))
    else:
        receipt = _as(Receipt, "receipt", path, body)
        found = verify_receipt(receipt, {name: _read(Path(file)) for name, file in map(_pair, text or [])})
    if as_json:
        print_json({"ok": found.ok, "checks": [check.model_dump() for check in found.checks]})
    else:
        for check in found.checks:
            typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.what}  {check.detail}".rstrip())
    raise typer.Exit(0 if found.ok else 1)


def _certificate_checks(path: Path, body: dict, key: str) -> list:
    from app.erasure import Certificate, is_genuine
    from app.receipts import Check

    certificate = _as(Certificate, "erasure certificate", path, body)
    checks = [
        Check(
            what=f"signature of the erasure of {certificate.document_id}",
            ok=is_genuine(certificate),
            detail=f"by key {certificate.public_key}",
        )
    ]
    if key:
        checks.append(Check(what="signed with the key that was expected", ok=certificate.public_key == key, detail=key))
    return checks + [
        Check(what=f"{probe.store}: {probe.looked_for}", ok=probe.found == 0, detail=f"{probe.found} found")
        for probe in certificate.probes
    ]


def _as(model: type[BaseModel], name: str, path: Path, body: dict):
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = ".".join(map(str, error.errors()[0]["loc"])) or "it"
        raise InvalidInput(
            f"{path} is no {name}: {error.error_count()} fields are wrong or missing, {first} first.",
            field="path",
            next_step="Give what `GET /v1/receipts/{id}` or `assay erase --certificate` wrote.",
        ) from error


def _json(path: Path) -> dict:
    try:
        body = json.loads(_read(path))
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}.", field="path") from error
    if not isinstance(body, dict):
        raise InvalidInput(f"{path} holds a {type(body).__name__}, not an object.", field="path")
    return body


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}.", field="path", next_step="Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text.", field="path", next_step="Give the canonical text.") from error


def _pair(given: str) -> tuple[str, str]:
    name, separator, file = given.partition("=")
    if not separator:
        raise InvalidInput(f"{given!r} is not ID=FILE.", field="text", next_step="Write --text doc_0123=handbook.txt.")
    return name, file
