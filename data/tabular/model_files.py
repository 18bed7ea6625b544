"""A `TabularModel` as a folder that is never changed: plain JSON, UBJ, skops and parquet, no pickle, each file named with its sha256.

save_model(model, Path("var/models/claims@3"))        # written aside, fsynced, renamed
model = load_model(Path("var/models/claims@3"))       # a changed, missing or extra file is refused
load_model(folder, digest="9f3a...")                  # and so is another model than the registered one

manifest.json    name, version, kind, digest, sha256 of each other file
model.json       threshold, costs, calibration, baseline, provenance
spec.json        the table's contract        features.json   the fitted FeatureTransformer
estimator.*      .json, .ubj or .skops       reference.parquet   held-out rows
and what was given as `extra`: README.md (the card), pictures; they count for the digest like the rest.
"""

import hashlib
import io
import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from data.errors import InvalidInput, NotFound
from data.tabular.calibration import Calibration
from data.tabular.estimators.reading import form_of, read_estimator
from data.tabular.features import FeatureTransformer
from data.tabular.model import Costs, Measured, TabularModel
from data.tabular.table import settle
from data.tabular.table_spec import TableSpec, parse_spec

MANIFEST = "manifest.json"
FORMAT = 1
NAME = re.compile(r"[a-z][a-z0-9_-]*")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class TamperedModel(InvalidInput):
    """Files that are not those that were saved. They are never loaded."""

    code = "tampered_model"


def save_model(model: TabularModel, folder: Path, *, extra: Mapping[str, bytes] = {}) -> TabularModel:
    """Write a new folder whole or not at all; returns the model with its digest. Raises: InvalidInput where one is there."""
    _check_names(model, folder, extra)
    files = _contents(model) | dict(extra)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    digest = _digest(hashes)
    manifest = {
        "format": FORMAT,
        "name": model.name,
        "version": model.version,
        "kind": model.kind,
        "digest": digest,
        "files": {name: {"sha256": sha256, "size_bytes": len(files[name])} for name, sha256 in hashes.items()},
    }
    _write_whole(folder, files | {MANIFEST: _json(manifest)})
    return replace(model, digest=digest)


def load_model(folder: Path, *, digest: str = "") -> TabularModel:
    """Raises: NotFound; TamperedModel naming the file; MissingExtra without the estimator's library."""
    manifest = _manifest(folder)
    files = _verified(folder, manifest)
    if digest and digest != manifest["digest"]:
        raise TamperedModel(
            f"{folder} holds the model {manifest['digest'][:12]}; {digest[:12]} was registered.",
            next_step="Restore the registered folder, or register this one as a new version.",
        )
    try:
        return _model(manifest, files)
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{folder} is whole but cannot be read: {type(error).__name__}: {error}.",
            field="model",
            next_step="Another version of Assay wrote it; train the model again.",
        ) from error


def digest_of(folder: Path) -> str:
    """The digest of a folder whose files are all as they were saved; loads nothing. Raises: as `load_model`."""
    manifest = _manifest(folder)
    _verified(folder, manifest)
    return manifest["digest"]


def spec_of(folder: Path) -> TableSpec:
    """The contract of a saved model alone, without its estimator's library. Raises: as `load_model`."""
    return parse_spec(json.loads(_verified(folder, _manifest(folder))["spec.json"]), "spec.json")


def _check_names(model: TabularModel, folder: Path, extra: Mapping[str, bytes]) -> None:
    for field, value, pattern in (("name", model.name, NAME), ("version", model.version, VERSION)):
        if not pattern.fullmatch(value):
            raise InvalidInput(f"{value!r} is no model {field}; it must match {pattern.pattern}.", field=field)
    for name in extra:
        if not FILE.fullmatch(name) or name == MANIFEST or name in _contents_names(model):
            raise InvalidInput(f"{name!r} cannot stand beside a model's own files.", field="extra")
    if folder.exists():
        raise InvalidInput(
            f"{folder} is there already; a saved model never changes.",
            field="folder",
            next_step="Save it under a new version.",
        )


def _contents_names(model: TabularModel) -> tuple[str, ...]:
    return ("model.json", "spec.json", "features.json", "reference.parquet", form_of(model.kind).file)


def _contents(model: TabularModel) -> dict[str, bytes]:
    facts = {
        "threshold": model.threshold,
        "costs": asdict(model.costs),
        "calibration": model.calibration.model_dump(mode="json"),
        "baseline": {name: [_number(v) for v in (m.value, m.low, m.high)] for name, m in model.baseline.items()},
        "provenance": dict(model.provenance),
    }
    return {
        "model.json": _json(facts),
        "spec.json": _json(model.spec.model_dump(mode="json", exclude_defaults=True), in_order=True),
        "features.json": model.features.to_json().encode(),
        "reference.parquet": _parquet(model.reference),
        form_of(model.kind).file: model.estimator.to_bytes(),
    }


def _model(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> TabularModel:
    facts = json.loads(files["model.json"])
    spec = parse_spec(json.loads(files["spec.json"]), "spec.json")
    kind = manifest["kind"]
    return TabularModel(
        name=manifest["name"],
        version=manifest["version"],
        spec=spec,
        features=FeatureTransformer.from_json(files["features.json"].decode()),
        estimator=read_estimator(kind, files[form_of(kind).file]),
        calibration=TypeAdapter(Calibration).validate_python(facts["calibration"]),
        threshold=float(facts["threshold"]),
        costs=Costs(**facts["costs"]),
        baseline={name: Measured(*map(_float, three)) for name, three in facts["baseline"].items()},
        reference=_reference(files["reference.parquet"], spec),
        provenance=facts["provenance"],
        digest=manifest["digest"],
    )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise NotFound(f"{folder} holds no model: there is no {MANIFEST}.", next_step="Train one: assay tabular train.")
    try:
        manifest = json.loads(path.read_bytes())
        hashes = {str(name): str(entry["sha256"]) for name, entry in manifest["files"].items()}
        wrong = [name for name in hashes if not FILE.fullmatch(name)]
        if manifest["format"] != FORMAT or wrong or not {"name", "version", "kind", "digest"} <= set(manifest):
            raise ValueError(f"format {manifest['format']!r}, files {wrong}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TamperedModel(
            f"{path} is no manifest of a model: {error}.", next_step="Restore the folder, or train the model again."
        ) from error
    if _digest(hashes) != manifest["digest"]:
        raise TamperedModel(
            f"{path} says digest {str(manifest['digest'])[:12]}; its files make {_digest(hashes)[:12]}.",
            next_step="Restore the folder, or train the model again.",
        )
    return manifest


def _verified(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """The bytes whose hashes were checked, and no others, are what is read."""
    there = {path.name for path in folder.iterdir()}
    named = set(manifest["files"])
    if extra := sorted(there - named - {MANIFEST}):
        raise TamperedModel(
            f"{extra[0]} in {folder} is not in the manifest.", next_step="Remove it; a saved model never changes."
        )
    files = {}
    for name in sorted(named):
        path = folder / name
        if not path.is_file() or path.is_symlink():
            raise TamperedModel(f"{name} in {folder} is missing, or no plain file.", next_step="Restore the folder.")
        content = path.read_bytes()
        expected, actual = manifest["files"][name]["sha256"], hashlib.sha256(content).hexdigest()
        if actual != expected:
            raise TamperedModel(
                f"{name} in {folder} was changed: sha256 {actual[:12]}, saved {expected[:12]}.",
                next_step="Restore the folder, or train the model again.",
            )
        files[name] = content
    return files


def _write_whole(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f".incoming-{folder.name}-{uuid.uuid4().hex[:8]}"
    aside.mkdir()
    try:
        for name, content in files.items():
            with (aside / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        _sync_folder(aside)
        try:
            aside.rename(folder)
        except OSError as error:  # another process saved the same version first
            raise InvalidInput(f"{folder} is there already.", field="folder") from error
        _sync_folder(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(hashes: Mapping[str, str]) -> str:
    """As `serving.registry` computes it, so that the rollout's store can hold the folder."""
    return hashlib.sha256(json.dumps(dict(hashes), sort_keys=True).encode()).hexdigest()


def _reference(content: bytes, spec: TableSpec) -> pd.DataFrame:
    return settle(pd.read_parquet(io.BytesIO(content)), spec)[0]


def _parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _json(value: Any, *, in_order: bool = False) -> bytes:
    """`in_order` keeps the order of keys: that of a table's columns means something."""
    return (json.dumps(value, indent=1, sort_keys=not in_order, allow_nan=False) + "\n").encode()


def _number(value: float) -> float | None:
    return float(value) if value == value else None


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)
