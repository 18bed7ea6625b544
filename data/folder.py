"""Walks paths to ingest: what is a plain file inside them, and what is refused and why."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote_to_bytes

from data.canonical import shown
from data.errors import InvalidInput, RefusedDocument

MAX_NAME = 255
MAX_URI = 2500
"""Bytes of a source's uri: a database's index holds no more."""


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

    Symbolic links that lead out of the given folder, devices, pipes and folders that cannot be listed are refused.
    Raises: InvalidInput for a missing path.
    """
    seen: set[Path] = set()
    for given in paths:
        root = _root(given)
        for item in [root] if not root.is_dir() else _below(root):
            if isinstance(item, OSError):
                yield _unreadable(Path(os.fsdecode(item.filename)), item)
                continue
            try:
                real = item.resolve()
                if real not in seen:
                    seen.add(real)
                    yield _checked(item, real, root)
            except (OSError, RuntimeError) as error:  # gone or out of reach meanwhile, or links in a circle
                yield _unreadable(item, error)


def is_gone(uri: str) -> bool:
    """Whether nothing lies at a `file://` URI any more; False where that cannot be told (a folder without permission)."""
    try:
        os.lstat(unquote_to_bytes(uri.removeprefix("file://")))
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


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


def _root(given: Path) -> Path:
    try:
        given.stat()
        return given.resolve()
    except (FileNotFoundError, NotADirectoryError):
        problem = "does not exist"
    except (OSError, RuntimeError) as error:
        problem = f"cannot be opened: {getattr(error, 'strerror', error)}"
    raise InvalidInput(f"{shown(str(given))} {problem}.", field="paths", next_step="Check the path.")


def _below(root: Path) -> Iterator[Path | OSError]:
    failed: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=failed.append):
        yield from failed
        failed.clear()
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        linked = [f for f in folders if (Path(folder) / f).is_symlink()]
        for name in sorted([*files, *linked]):
            if not name.startswith("."):
                yield Path(folder) / name
    yield from failed


def _checked(path: Path, real: Path, root: Path) -> FoundFile | Refusal:
    uri = path.absolute().as_uri()
    inside = real == root or root in real.parents
    if path.is_symlink() and not inside:
        return _refusal(
            uri,
            f"{shown(path.name)} is a symbolic link that leads out of {shown(str(root))}.",
            "symlink",
            "Ingest its target by its own path.",
        )
    if path.is_symlink() and real.is_dir():
        return _refusal(
            uri,
            f"{shown(path.name)} is a symbolic link to a folder.",
            "symlink",
            "Its files are ingested where they lie.",
        )
    if path.is_symlink() and not real.exists():
        return _refusal(
            uri, f"{shown(path.name)} is a symbolic link to nothing.", "symlink", "Remove it or mend its target."
        )
    if not real.is_file():
        return _refusal(uri, f"{shown(path.name)} is no plain file.", "not_a_file", "Ingest files and folders only.")
    if len(real.as_uri()) > MAX_URI:
        return _refusal(
            uri[:MAX_URI], f"The path of {shown(path.name)} is too long.", "name", "Move it nearer to the root."
        )
    return FoundFile(real, real.as_uri(), real.stat().st_size)


def _refusal(uri: str, message: str, reason: str, next_step: str) -> Refusal:
    return Refusal(uri, RefusedDocument(message, reason=reason, next_step=next_step))


def _unreadable(path: Path, error: Exception) -> Refusal:
    said = getattr(error, "strerror", None) or str(error)
    return _refusal(
        path.absolute().as_uri(),
        f"{shown(path.name)} cannot be opened: {said}.",
        "unreadable",
        "Check that it is still there, and its permissions.",
    )
