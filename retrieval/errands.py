"""Work on the indexes that a process asks of the one that holds the lock: marker files in the index folder.

A marker stays until the work is done, so an owner that dies leaves it to the next. Knows nothing of what the work is.
"""

import os
from pathlib import Path

MERGE = "merge"
REBUILD_LEXICAL = "rebuild-lexical"


class Errands:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ask(self, name: str) -> None:
        """Leave a marker, which is gone when the work is done."""
        token = os.urandom(8).hex()
        aside = self._marker(name).with_suffix(f".{token}")
        aside.write_text(token)
        os.replace(aside, self._marker(name))

    def wanted(self, name: str) -> str:
        """The token of the newest request, '' where there is none: give it to `done` when the work is finished."""
        try:
            return self._marker(name).read_text()
        except FileNotFoundError:
            return ""

    def done(self, name: str, token: str) -> None:
        """Take the marker away, unless somebody asked again since `token` was read."""
        if token and self.wanted(name) == token:
            self._marker(name).unlink(missing_ok=True)

    def _marker(self, name: str) -> Path:
        return self.folder / f"{name}.wanted"
