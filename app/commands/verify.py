"""assay verify receipt.json [--document handbook.md=doc_...]"""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from app.commands.console import AsJson, print_json
from data.errors import InvalidInput

app = typer.Typer()


@app.command(epilog="Example: assay verify receipt.json --text doc_0123456789abcdef=handbook.txt")
def verify(
    path: Annotated[
        Path, typer.Argument(help="A receipt, as `GET /v1/receipts/{id}` returns it, or an erasure certificate.")
    ],
    text: Annotated[list[str] | None, typer.Option(help="A document's canonical text: ID=FILE; repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check a receipt offline: its hash, the quotes' hashes and offsets, and with --text that they stand in the documents.

    Needs no database and no network. Exit 1 when a check fails. Also checks the signature of an erasure certificate.
    """
    from app.receipts import verify as verify_receipt
    from data.records import Receipt

    body = _read(path)
    if '"probes"' in body and '"signature"' in body:
        _verify_certificate(body)
        return
    try:
        receipt = Receipt.model_validate_json(body)
    except ValidationError as error:
        raise InvalidInput(
            f"{path} is no receipt: {error.error_count()} fields are wrong or missing.", field="path"
        ) from error
    found = verify_receipt(receipt, {name: _read(Path(file)) for name, file in map(_pair, text or [])})
    if as_json:
        print_json({"ok": found.ok, "checks": [check.model_dump() for check in found.checks]})
    else:
        for check in found.checks:
            typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.what}  {check.detail}".rstrip())
    raise typer.Exit(0 if found.ok else 1)


def _verify_certificate(body: str) -> None:
    from app.erasure import Certificate, is_genuine

    certificate = Certificate.model_validate_json(body)
    genuine = is_genuine(certificate)
    typer.echo(f"{'ok  ' if genuine else 'FAIL'}  signature of the erasure of {certificate.document_id}")
    raise typer.Exit(0 if genuine else 1)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read: {error.strerror}.", field="path", next_step="Check the path."
        ) from error


def _pair(given: str) -> tuple[str, str]:
    name, separator, file = given.partition("=")
    if not separator:
        raise InvalidInput(f"{given!r} is not ID=FILE.", field="text")
    return name, file
