"""Registered adapters: which versions there are, where their files lie, and whether the files are the registered ones.

A version is a folder with a `manifest.json` that holds the sha256 of every file, and the digest that stands for its weights
(`finetune.manifest` writes it; here it is computed again). The registry is read when adapters are brought in, never while answering: what is live is in the database.
"""

import hashlib
import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from data.errors import InfrastructureError, InvalidInput, NotFound

MANIFEST = "manifest.json"
ADAPTER_CONFIG = "adapter_config.json"
DECODER_TASK = "CAUSAL_LM"
WEIGHTS = (".safetensors", "_config.json")
"""Endings of the files that make the digest, as in `finetune.manifest`."""


@dataclass(frozen=True)
class RegisteredAdapter:
    """One version of a registered model. `source` is wherever its files are; `aliases` such as champion, challenger."""

    name: str
    version: str
    source: str
    aliases: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"


class AdapterRegistry(Protocol):
    """Where trained versions are registered: MLflow, or a plain folder."""

    def adapters(self) -> list[RegisteredAdapter]:
        """Every version, oldest first."""
        ...

    def folder(self, adapter: RegisteredAdapter) -> Path:
        """A local folder with the version's files."""
        ...

    def set_alias(self, name: str, alias: str, version: str) -> None: ...


class TamperedAdapter(InvalidInput):
    """Files that are not the registered ones. They are never loaded."""

    code = "tampered_adapter"


@dataclass(frozen=True)
class StoredAdapter:
    ref: str
    folder: Path
    digest: str


class FolderRegistry:
    """Versions as folders `name@version` below one folder; aliases in `aliases.json`. For machines without MLflow, and tests."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def adapters(self) -> list[RegisteredAdapter]:
        aliases = self._aliases()
        found = []
        for folder in sorted(self._root.glob("*@*/"), key=lambda p: (p.name.split("@")[0], _ordinal(p.name))):
            name, _, version = folder.name.partition("@")
            mine = tuple(sorted(a for a, v in aliases.get(name, {}).items() if v == version))
            found.append(RegisteredAdapter(name, version, str(folder), mine))
        return found

    def folder(self, adapter: RegisteredAdapter) -> Path:
        return Path(adapter.source)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        aliases = self._aliases()
        aliases.setdefault(name, {})[alias] = version
        (self._root / "aliases.json").write_text(json.dumps(aliases))

    def _aliases(self) -> dict[str, dict[str, str]]:
        path = self._root / "aliases.json"
        return json.loads(path.read_text()) if path.exists() else {}


class AdapterStore:
    """Verified copies that a server reads, one folder `name@version` each, written once and never changed."""

    def __init__(self, root: Path, root_at_server: str = "") -> None:
        self._root = root
        self._root_at_server = root_at_server

    def put(self, ref: str, source: Path) -> StoredAdapter:
        """Copy a version in, unless it is there. Raises: TamperedAdapter when source, copy or both are not as registered."""
        if self._burnt(ref).exists():
            raise TamperedAdapter(
                f"The name {ref} held other weights once: {self._burnt(ref).read_text()}",
                next_step="Register the files as a new version; a server's prefix cache may still know the old name.",
            )
        digest = verified_digest(source)
        folder = self._root / ref
        if not folder.exists():
            self._copy(source, folder)
        held = verified_digest(folder)
        if held != digest:
            raise TamperedAdapter(
                f"{ref} is stored with digest {held[:12]} and registered with {digest[:12]}.",
                next_step="A version's files never change: register the new ones as a new version.",
            )
        return StoredAdapter(ref, folder, digest)

    def _copy(self, source: Path, folder: Path) -> None:
        """Beside it first, then renamed: a folder under its real name is whole. Of two that copy at once, one is kept."""
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=self._root) as temporary:
            aside = Path(temporary) / folder.name
            for name in [MANIFEST, *manifest_files(source)]:
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, aside / name)
            with suppress(OSError):  # another process was first; what it left is verified like our own
                aside.rename(folder)
        if not folder.exists():
            raise InfrastructureError(
                f"{folder} could not be written.", next_step="Is there room, and may this user write there?"
            )

    def burn(self, ref: str, why: str) -> None:
        """Never offer this name again."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._burnt(ref).write_text(why)

    def _burnt(self, ref: str) -> Path:
        return self._root / f".{ref}.burnt"

    def path_at_server(self, stored: StoredAdapter) -> str:
        return (
            f"{self._root_at_server.rstrip('/')}/{stored.ref}" if self._root_at_server else str(stored.folder.resolve())
        )


def manifest_files(folder: Path) -> dict[str, str]:
    """Relative path -> sha256, as the manifest says. Raises: TamperedAdapter without a readable manifest."""
    path = folder / MANIFEST
    try:
        files = json.loads(path.read_bytes())["files"]
        found = {name: entry if isinstance(entry, str) else entry["sha256"] for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TamperedAdapter(
            f"{path} is no manifest: {type(error).__name__}.",
            next_step="Train or register the adapter again: finetune.train writes one.",
        ) from error
    for name in found:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise TamperedAdapter(f"The manifest {path} names a file outside its folder: {name!r}.")
    return found


def verified_digest(folder: Path) -> str:
    """The digest of a version whose files are all as its manifest says, and no weights lie beside them.

    Raises: TamperedAdapter naming the first file that is not.
    """
    files = manifest_files(folder)
    for name, expected in files.items():
        path = folder / name
        actual = _sha256(path) if path.is_file() else "missing"
        if actual != expected:
            raise TamperedAdapter(
                f"{name} in {folder} is not the registered file: sha256 {actual[:12]}, registered {expected[:12]}.",
                next_step="Restore the files, or register them as a new version.",
            )
    loadable = {".safetensors", ".bin", ".pt", ".json", ".jinja"}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and path.suffix in loadable and name not in files and name != MANIFEST:
            raise TamperedAdapter(
                f"{name} in {folder} is not in the manifest, and a server would read it.",
                next_step="Remove it, or register the folder as a new version.",
            )
    return _digest(folder, files)


def _digest(folder: Path, files: dict[str, str]) -> str:
    """What names these weights and configurations, or all files of what has none (a tabular model); a manifest that says otherwise was tampered with."""
    weights = {name: sha256 for name, sha256 in files.items() if name.endswith(WEIGHTS)} or files
    computed = hashlib.sha256(json.dumps(weights, sort_keys=True).encode()).hexdigest()
    said = json.loads((folder / MANIFEST).read_bytes()).get("digest", computed)
    if said != computed:
        raise TamperedAdapter(
            f"{folder / MANIFEST} says digest {str(said)[:12]}; its files make {computed[:12]}.",
            next_step="Register the folder as a new version.",
        )
    return computed


def is_decoder_adapter(folder: Path) -> bool:
    """Whether a language-model server can load it: a LoRA adapter of a decoder, and not of an encoder."""
    try:
        return json.loads((folder / ADAPTER_CONFIG).read_bytes()).get("task_type") == DECODER_TASK
    except (OSError, ValueError):
        return False


def find(registry: AdapterRegistry, ref: str) -> RegisteredAdapter:
    """`name@version` or `name@alias`. Raises: NotFound."""
    name, _, wanted = ref.partition("@")
    known = [a for a in registry.adapters() if a.name == name]
    for adapter in known:
        if wanted == adapter.version or wanted in adapter.aliases:
            return adapter
    there = ", ".join(a.ref + (f" ({', '.join(a.aliases)})" if a.aliases else "") for a in known) or "none"
    raise NotFound(
        f"There is no registered version {ref!r}.",
        next_step=f"Versions of {name!r}: {there}. Register one by training.",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ordinal(ref: str) -> tuple[int, str]:
    version = ref.partition("@")[2]
    return (int(version), "") if version.isdigit() else (1 << 30, version)
