"""Reads JSON lines, plain or gzipped, and says which file and line is wrong. Knows no data set."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.errors import InvalidInput


def read_rows(path: Path, fields: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    """Yield each line's object. Raises: InvalidInput for a missing file, a line that is no object or lacks one of `fields`."""
    path = Path(path)
    if not path.is_file():
        raise InvalidInput(
            f"{path} is no file.", field="data", next_step="Name a .jsonl or .jsonl.gz file, one object a line."
        )
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _row(path, number, line, fields)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.", field="data") from error


def _opened(path: Path) -> io.TextIOBase:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _row(path: Path, number: int, line: str, fields: tuple[str, ...]) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InvalidInput(f"{path}, line {number} is not JSON: {error}.", field="data") from error
    if not isinstance(row, dict):
        raise InvalidInput(f"{path}, line {number} is {type(row).__name__}; it must be an object.", field="data")
    if missing := [name for name in fields if name not in row]:
        raise InvalidInput(
            f"{path}, line {number} lacks {', '.join(missing)}; it has {', '.join(sorted(row)) or 'nothing'}.",
            field="data",
        )
    return row
