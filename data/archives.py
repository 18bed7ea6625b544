"""Looks into zipped formats (docx, xlsx, epub, odt, ...) before anything unpacks them: bombs, passwords, paths that lead out.

Reads the archive's directory and small marker files only. Must not know what the formats mean beyond that.
"""

import io
import re
import zipfile
from pathlib import PurePath

from data.errors import RefusedDocument

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
SMALL_BYTES = 10 << 20
"""Archives that unpack to less are harmless at any ratio: honest sheets of zeros pack very well."""
MARKER_BYTES = 1 << 20
LEADS_OUT = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)")


def check_archive(name: str, data: bytes, limits: dict) -> None:
    """Raises: RefusedDocument. `limits` holds `max_unpacked_mb` and `max_ratio`."""
    if data.startswith(OLE):
        raise _old_office(name, data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_size(name, entries, len(data), limits)
            if any(entry.flag_bits & 1 for entry in entries) or _has_encrypted_parts(archive):
                raise encrypted(name)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError):
        raise RefusedDocument(
            f"{name} is damaged: it is no readable {PurePath(name).suffix} file.",
            reason="corrupt",
            next_step="Save it again from its program.",
        ) from None
    if any(LEADS_OUT.search(entry.filename) for entry in entries):
        raise RefusedDocument(
            f"{name} holds paths that lead out of it.", reason="hostile", next_step="Do not open it; ask its sender."
        )


def encrypted(name: str) -> RefusedDocument:
    return RefusedDocument(
        f"{name} is encrypted.", reason="encrypted", next_step="Remove its password, then ingest it again."
    )


def _old_office(name: str, data: bytes) -> RefusedDocument:
    if ENCRYPTED_PACKAGE in data:
        return encrypted(name)
    return RefusedDocument(
        f"{name} is a file of an old Office format under a new name.",
        reason="wrong_extension",
        next_step=f"Open it and save it as {PurePath(name).suffix}.",
    )


def _check_size(name: str, entries: list[zipfile.ZipInfo], packed: int, limits: dict) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    grows = unpacked > SMALL_BYTES and unpacked > limits["max_ratio"] * packed
    if unpacked > limits["max_unpacked_mb"] << 20 or grows:
        raise RefusedDocument(
            f"{name} unpacks to {unpacked >> 20} MiB from {packed >> 10} KiB.",
            reason="zip_bomb",
            next_step="If it is honest, raise ASSAY_READING__MAX_UNPACKED_MB and ASSAY_READING__MAX_RATIO.",
        )


def _has_encrypted_parts(archive: zipfile.ZipFile) -> bool:
    """OpenDocument and EPUB encrypt parts and say so in a manifest; a font that is merely obfuscated does not count."""
    manifest = _marker(archive, "META-INF/manifest.xml")
    protected = re.findall(rb'URI="([^"]+)"', _marker(archive, "META-INF/encryption.xml"))
    return b"encryption-data" in manifest or any(re.search(rb"\.x?html?$", path) for path in protected)


def _marker(archive: zipfile.ZipFile, path: str) -> bytes:
    if path not in archive.namelist():
        return b""
    with archive.open(path) as file:
        return file.read(MARKER_BYTES)
