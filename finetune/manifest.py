"""manifest.json: what an adapter consists of and came from, by sha256. Loads no weights.

python -m finetune.manifest FOLDER      checks the files in a folder against its manifest
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data.errors import InvalidInput, NotFound
from finetune.examples import FileDigest
from finetune.rows import file_sha256

NAME = "manifest.json"
WEIGHT_FILES = (
    "*.safetensors",
    "*.bin",
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "*.jinja",
    "vocab*",
    "merges.txt",
)


def weights_digest(folder: Path) -> str:
    """sha256 over the names and digests of a model's weights, configuration and tokenizer."""
    files = sorted({path for pattern in WEIGHT_FILES for path in folder.glob(pattern) if path.is_file()})
    lines = "".join(f"{path.name} {file_sha256(path)}\n" for path in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _settle(config: Path) -> None:
    """PEFT writes a set, whose order changes from run to run: equal adapters must have equal digests."""
    if config.exists():
        told = json.loads(config.read_text("utf-8"))
        if isinstance(told.get("target_modules"), list):
            config.write_text(
                json.dumps(told | {"target_modules": sorted(told["target_modules"])}, indent=2, sort_keys=True), "utf-8"
            )


def write_manifest(
    folder: Path, *, name: str, base: dict[str, Any], data: Iterable[FileDigest], recipe: dict[str, Any]
) -> str:
    """List every file in `folder` and what it came from; return the adapter's digest."""
    _settle(folder / "adapter_config.json")
    files = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != NAME}
    listed = {path: {"sha256": file_sha256(file), "size_bytes": file.stat().st_size} for path, file in files.items()}
    weights = {
        path: about["sha256"] for path, about in listed.items() if path.endswith((".safetensors", "_config.json"))
    }
    digest = hashlib.sha256(json.dumps(weights, sort_keys=True).encode()).hexdigest()
    manifest = {
        "name": name,
        "digest": digest,
        "base": base,
        "recipe": recipe,
        "data": [
            {
                "file": d.source.path.name,
                "role": d.role,
                "sha256": d.sha256,
                "n_rows": d.n_rows,
                "licence": d.source.licence,
            }
            for d in data
        ],
        "files": listed,
    }
    (folder / NAME).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    return digest


def check_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, if every file is as it says. Raises: NotFound, InvalidInput naming the files that differ."""
    path = folder / NAME
    if not path.exists():
        raise NotFound(f"{folder} has no {NAME}.", next_step="Name the folder of an adapter that finetune.train wrote.")
    manifest = json.loads(path.read_text("utf-8"))
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != NAME}
    wrong = [f"{name} is not listed" for name in sorted(present - set(manifest["files"]))]
    for name, about in manifest["files"].items():
        if name not in present:
            wrong.append(f"{name} is missing")
        elif file_sha256(folder / name) != about["sha256"]:
            wrong.append(f"{name} was changed")
    if wrong:
        raise InvalidInput(
            f"{folder} is not what its manifest says: {'; '.join(wrong)}.",
            next_step="Fetch it again from the registry.",
        )
    return manifest


def main() -> int:
    parser = argparse.ArgumentParser(prog="finetune.manifest", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    try:
        print(f"{folder}: {len(check_manifest(folder)['files'])} files are as listed")
    except (InvalidInput, NotFound) as error:
        print(f"finetune: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
