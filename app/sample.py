"""Ingests the sample corpus, each file with the groups and metadata that its manifest gives it."""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from data.folder import FoundFile

if TYPE_CHECKING:
    from app.assay import Assay

COLLECTION = "handbook"


def ingest_sample(assay: "Assay", folder: Path) -> None:
    """Store every file of `folder`/manifest.yaml in the collection `handbook`."""
    from app.assay import Placement

    manifest = yaml.safe_load((folder / "manifest.yaml").read_text(encoding="utf-8"))
    entries = manifest["documents"] if isinstance(manifest, dict) else manifest
    for (groups, metadata), same in groupby(sorted(entries, key=_rights), key=_rights):
        found = [_found(folder / entry["path"]) for entry in same]
        placement = Placement(collection=COLLECTION, groups=frozenset(groups), metadata=metadata)
        for event in assay.ingest_found(found, placement):
            if event.status == "refused":
                raise AssertionError(f"{event.uri}: {event.message}")  # our own file: a defect, not a user's mistake
    assay.settle()


def _rights(entry: dict[str, Any]) -> tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]:
    facts = {
        name: str(value) if not isinstance(value, str | int | float | bool) else value
        for name, value in (entry.get("metadata") or {}).items()
    }
    return tuple(sorted(entry.get("groups") or ())), tuple(sorted(facts.items()))


def _found(path: Path) -> FoundFile:
    return FoundFile(path.resolve(), path.resolve().as_uri(), path.stat().st_size)
