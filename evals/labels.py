"""The labels of data sets as yes or no. Which spellings there are is data (`label_names.yaml`)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from data.errors import InvalidInput

NAMES = Path(__file__).with_name("label_names.yaml")


def is_yes(label: Any, kind: str, where: str) -> bool:
    """Whether a label says what the kind looks for. Raises: InvalidInput naming the spellings that are known."""
    said = str(label).strip().casefold()
    found = _names()[kind].get(said)
    if found is None:
        known = ", ".join(_names()[kind])
        raise InvalidInput(
            f"{where} has the label {label!r}; known are: {known}.",
            field="data",
            next_step="Spell the labels as one of these.",
        )
    return found


@cache
def _names() -> Mapping[str, Mapping[str, bool]]:
    listed = yaml.safe_load(NAMES.read_text("utf-8"))
    return {
        kind: {name: side == "yes" for side, names in sides.items() for name in names} for kind, sides in listed.items()
    }
