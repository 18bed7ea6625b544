"""Every evaluation question in the checkout, so that none is trained on. Knows no scorer: it reads the files as rows."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
ASKED = ("question", "prompt", "query", "input", "text", "claim", "hypothesis")
"""What the asked part of a row is called; the first that a row has counts."""


@dataclass(frozen=True)
class SuiteItem:
    """`where` is the file, relative to the checkout, and the line or number of the row."""

    where: str
    text: str


def suite_items(patterns: Sequence[str], root: Path = ROOT) -> list[SuiteItem]:
    """What the files that match ask. A file that cannot be read as rows asks nothing."""
    paths = sorted({path for pattern in patterns for path in root.glob(pattern) if path.is_file()})
    return [item for path in paths for item in _items(path, path.relative_to(root).as_posix())]


def _items(path: Path, name: str) -> Iterator[SuiteItem]:
    for number, row in enumerate(_rows(path), 1):
        text = _asked(row)
        if text:
            yield SuiteItem(f"{name}:{number}", text)


def _rows(path: Path) -> Iterator[Any]:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = raw.decode("utf-8")
        if path.suffix in (".yaml", ".yml", ".json"):
            given = yaml.safe_load(text) if path.suffix != ".json" else json.loads(text)
            yield from _lists(given)
        else:
            for line in text.splitlines():
                yield json.loads(line) if line.strip() else None
    except (ValueError, yaml.YAMLError, OSError):
        return


def _lists(given: Any) -> Iterator[Any]:
    if isinstance(given, list):
        yield from given
    elif isinstance(given, dict):
        for value in given.values():
            yield from _lists(value)


def _asked(row: Any) -> str:
    if not isinstance(row, dict):
        return ""
    for name in ASKED:
        value = row.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, list) and all(isinstance(turn, dict) for turn in value):
            return "\n".join(str(turn.get("content", "")) for turn in value if turn.get("role") == "user")
    return ""
