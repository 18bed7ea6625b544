"""Saved tabular models as folders NAME/VERSION, with aliases such as champion and challenger beside them. Decides nothing: which version
answers is the rollout's, or the alias's where no rollout was begun.

store = ModelStore(var / "tabular" / "models")
predictor = store.predictor("claims")                    # the champion
predictor = store.predictor("claims", "7", digest=...)   # that version, if its files are the registered ones

A version's files never change (`data.tabular.model_files` refuses others), so a loaded one is kept.
"""

import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from data.errors import InvalidInput, NotFound
from data.tabular.model_files import MANIFEST, VERSION, TamperedModel, digest_of, load_model
from serving.tabular.predictor import Predictor

ALIASES = "aliases.json"
CHAMPION, CHALLENGER = "champion", "challenger"
ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,60}")
KEPT = 16
"""Loaded models that are kept; the one not asked for longest goes first."""


class ModelStore:
    """Cheap to build; a model loads when it is first asked for, once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._loaded: OrderedDict[tuple[str, str], Predictor] = OrderedDict()
        self._lock = threading.Lock()

    # -- which there are

    def names(self) -> list[str]:
        return sorted(folder.name for folder in self._root.glob("[a-z]*/") if self.versions(folder.name))

    def versions(self, name: str) -> list[str]:
        """Oldest first: numbers by size, then other names."""
        found = (path.parent.name for path in (self._root / name).glob(f"[A-Za-z0-9]*/{MANIFEST}"))
        return sorted(found, key=lambda v: (int(v), "") if v.isdigit() else (1 << 62, v))

    def aliases(self, name: str) -> dict[str, str]:
        path = self._root / name / ALIASES
        try:
            found = json.loads(path.read_bytes()) if path.exists() else {}
            return {str(alias): str(version) for alias, version in found.items()}
        except (ValueError, AttributeError) as error:
            raise InvalidInput(f"{path} holds no aliases: {error}.", field="model") from error

    def folder(self, name: str, version: str) -> Path:
        return self._root / name / version

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Raises: NotFound for a version that is not there."""
        if not ALIAS.fullmatch(alias):
            raise InvalidInput(f"{alias!r} is no alias; it must match {ALIAS.pattern}.", field="alias")
        held = self.aliases(name) | {alias: self.resolve(name, version)}
        path = self._root / name / ALIASES
        aside = path.with_name(f".{ALIASES}.{os.getpid()}.{threading.get_ident()}")
        aside.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n")
        aside.replace(path)

    def resolve(self, name: str, wanted: str = "") -> str:
        """A version, by itself, by alias, or by default the champion's. Raises: NotFound saying what there is.

        Without a champion the only version answers; among several nobody has chosen, so none does.
        """
        versions, aliases = self.versions(name), {}
        if not versions:
            there = ", ".join(self.names()) or "none; train one with: assay tabular train"
            raise NotFound(f"There is no tabular model {name!r}.", next_step=f"There are: {there}.")
        if wanted in versions:
            return wanted
        aliases = self.aliases(name)
        version = aliases.get(wanted or CHAMPION) or (versions[0] if not wanted and len(versions) == 1 else "")
        if version in versions:
            return version
        told = ", ".join([*versions, *(f"{alias} = {one}" for alias, one in sorted(aliases.items()))])
        if not wanted:
            raise NotFound(
                f"{name} has {len(versions)} versions and no champion.",
                next_step=f"Choose one: assay tabular alias {name} champion {versions[-1]}. There are: {told}.",
            )
        raise NotFound(f"There is no {name}@{wanted}.", next_step=f"There are: {told}.")

    # -- the models themselves

    def predictor(self, name: str, wanted: str = "", *, digest: str = "") -> Predictor:
        """Raises: NotFound; TamperedModel where files are not those saved, or not those of `digest`; MissingExtra."""
        version = self.resolve(name, wanted)
        with self._lock:
            found = self._loaded.get((name, version))
            if found is None:
                found = self._loaded[name, version] = Predictor(self._load(name, version))
                while len(self._loaded) > KEPT:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end((name, version))
        if digest and found.model.digest != digest:
            raise TamperedModel(
                f"{found.model.ref} is stored with digest {found.model.digest[:12]} and released with {digest[:12]}.",
                next_step="Restore the released folder, or release this one as a new version.",
            )
        return found

    def loaded(self, name: str, version: str) -> Predictor | None:
        """The model if it is in memory, at no cost."""
        return self._loaded.get((name, version))

    def digests(self, name: str) -> Mapping[str, str]:
        """By version; every file is hashed, nothing is loaded. Raises: TamperedModel."""
        return {version: digest_of(self.folder(name, version)) for version in self.versions(name)}

    def _load(self, name: str, version: str):
        if not VERSION.fullmatch(version):
            raise NotFound(f"There is no {name}@{version}.")
        model = load_model(self.folder(name, version))
        if (model.name, model.version) != (name, version):
            raise TamperedModel(
                f"The folder {name}/{version} holds {model.ref}.", next_step="Put each model under its own name."
            )
        return model
