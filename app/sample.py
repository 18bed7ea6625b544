"""Ingests the sample corpus, each file with the groups and metadata that its manifest gives it."""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from sqlalchemy import delete, insert, select

from data.database import Database
from data.folder import FoundFile
from data.tables import state

if TYPE_CHECKING:
    from app.assay import Assay

COLLECTION = "handbook"
STATE = "sample"


def is_wanted(assay: "Assay") -> bool:
    """Whether the store is empty, or an earlier ingest of the sample corpus was interrupted."""
    with assay.stores.database.read() as connection:
        begun = connection.execute(select(state.c.value).where(state.c.name == STATE)).scalar_one_or_none()
    return begun == "begun" or (begun is None and not assay.catalog.feed.n_chunks())


def ingest_sample(assay: "Assay", folder: Path) -> None:
    """Store every file of `folder`/manifest.yaml in the collection `handbook`."""
    from app.assay import Placement

    _remember(assay.stores.database, "begun")
    manifest = yaml.safe_load((folder / "manifest.yaml").read_text(encoding="utf-8"))
    entries = manifest["documents"] if isinstance(manifest, dict) else manifest
    for (groups, metadata), same in groupby(sorted(entries, key=_rights), key=_rights):
        found = [_found(folder / entry["path"]) for entry in same]
        placement = Placement(collection=COLLECTION, groups=frozenset(groups), metadata=metadata)
        for event in assay.ingest_found(found, placement):
            if event.status == "refused":
                raise AssertionError(f"{event.uri}: {event.message}")  # our own file: a defect, not a user's mistake
    assay.settle()
    _remember(assay.stores.database, "complete")


def _rights(entry: dict[str, Any]) -> tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]:
    facts = {
        name: str(value) if not isinstance(value, str | int | float | bool) else value
        for name, value in (entry.get("metadata") or {}).items()
    }
    return tuple(sorted(entry.get("groups") or ())), tuple(sorted(facts.items()))


def _found(path: Path) -> FoundFile:
    return FoundFile(path.resolve(), path.resolve().as_uri(), path.stat().st_size)


def _remember(database: Database, progress: str) -> None:
    with database.append() as connection:
        connection.execute(delete(state).where(state.c.name == STATE))
        connection.execute(insert(state).values(name=STATE, value=progress))
