"""A folder of built graphs, so that a later start need not build them again. A damaged file counts as absent."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def cached_graph(path: Path, build: Callable[[], bytes]) -> Path:
    """Return `path`, a complete file; build and keep the graph first when it is missing, torn or altered.

    Its sha256 lies beside it. Writers may race: each renames complete files, and equal graphs have equal bytes.
    """
    if not _is_intact(path):
        graph = build()
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, graph)
        _write(_digest_path(path), hashlib.sha256(graph).hexdigest().encode())
    return path


def _is_intact(path: Path) -> bool:
    try:
        with path.open("rb") as graph:
            return hashlib.file_digest(graph, "sha256").hexdigest().encode() == _digest_path(path).read_bytes()
    except FileNotFoundError:
        return False


def _digest_path(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, suffix=".tmp", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)
