"""Walks paths to ingest: what is a plain file inside them, and what is refused and why."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from data.errors import InvalidInput, RefusedDocument

MAX_NAME = 255


@dataclass(frozen=True)
class FoundFile:
    """`uri` is the absolute `file://` URI, so the same file is the same source from any working directory."""

    path: Path
    uri: str
    size_bytes: int


@dataclass(frozen=True)
class Refusal:
    uri: str
    error: RefusedDocument


def find_files(paths: Iterable[Path]) -> Iterator[FoundFile | Refusal]:
    """Yield every file at or below `paths`, sorted by path, each once; hidden files and folders are left out.

    Symbolic links that lead out of the given folder, devices and pipes are refused. Raises: InvalidInput for a missing path.
    """
    seen: set[Path] = set()
    for given in paths:
        if not given.exists():
            raise InvalidInput(f"{given} does not exist.", field="paths", next_step="Check the path.")
        root = given.resolve()
        for path in [root] if not root.is_dir() else _below(root):
            real = path.resolve()
            if real in seen:
                continue
            seen.add(real)
            yield _checked(path, real, root)


def safe_name(name: str) -> str:
    """The last part of an uploaded file's name, without control characters. Raises: InvalidInput when nothing is left."""
    name = unicodedata.normalize("NFC", PurePosixPath(name.replace("\\", "/")).name)
    name = re.sub(r"[\x00-\x1f\x7f]", "", name).strip()
    if not name or name in {".", ".."} or len(name.encode()) > MAX_NAME:
        raise InvalidInput(
            f"{name[:80]!r} is no file name.",
            field="name",
            next_step=f"Give a name of 1 to {MAX_NAME} bytes, such as handbook.pdf.",
        )
    return name


def _below(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        linked = [f for f in folders if (Path(folder) / f).is_symlink()]
        for name in sorted([*files, *linked]):
            if not name.startswith("."):
                yield Path(folder) / name


def _checked(path: Path, real: Path, root: Path) -> FoundFile | Refusal:
    uri = path.absolute().as_uri()
    inside = real == root or root in real.parents
    if path.is_symlink() and not inside:
        return _refusal(
            uri,
            f"{path.name} is a symbolic link that leads out of {root}.",
            "symlink",
            "Ingest its target by its own path.",
        )
    if path.is_symlink() and real.is_dir():
        return _refusal(
            uri, f"{path.name} is a symbolic link to a folder.", "symlink", "Its files are ingested where they lie."
        )
    if not real.is_file():
        return _refusal(uri, f"{path.name} is no plain file.", "not_a_file", "Ingest files and folders only.")
    return FoundFile(real, real.as_uri(), real.stat().st_size)


def _refusal(uri: str, message: str, reason: str, next_step: str) -> Refusal:
    return Refusal(uri, RefusedDocument(message, reason=reason, next_step=next_step))
