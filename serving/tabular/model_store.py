"""Saved tabular models that answer, loaded once. Lies over `serving.registry.FolderRegistry`: folders NAME@VERSION, aliases beside them.
Decides nothing: which version answers is the rollout's, or the alias's where no rollout was begun.

store = ModelStore(settings.tabular_models)
predictor = store.predictor("claims")                    # the champion
predictor = store.predictor("claims", "7", digest=...)   # that version, if its files are the registered ones

A version's files never change (`data.tabular.model_files` refuses others), so a loaded one is kept.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from data.errors import NotFound
from data.tabular.model import TabularModel
from data.tabular.model_files import MANIFEST, TamperedModel, digest_of, load_model
from serving.registry import FolderRegistry, RegisteredAdapter
from serving.tabular.predictor import Predictor

CHAMPION, CHALLENGER = "champion", "challenger"
KEPT = 16
"""Loaded models that are kept; the one loaded first goes first."""
LOOK_AGAIN_S = 1.0
"""How long an answer from the disk is believed: a new version or alias is seen within that time."""


class ModelStore:
    """Cheap to build; a model loads when it is first asked for, once."""

    def __init__(self, root: Path | str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = FolderRegistry(Path(root))
        self._clock = clock
        self._seen: tuple[float, dict[str, list[RegisteredAdapter]]] | None = None
        self._loaded: OrderedDict[tuple[str, str], Predictor] = OrderedDict()
        self._lock = threading.Lock()

    # -- which there are

    def names(self) -> list[str]:
        return sorted(self._known())

    def versions(self, name: str) -> list[str]:
        """Oldest first."""
        return [one.version for one in self._known().get(name, [])]

    def aliases(self, name: str) -> dict[str, str]:
        return {alias: one.version for one in self._known().get(name, []) for alias in one.aliases}

    def folder(self, name: str, version: str) -> Path:
        """Raises: NotFound."""
        for one in self._known().get(name, []):
            if one.version == version:
                return Path(one.source)
        raise self._absent(name, version)

    def digest(self, name: str, version: str) -> str:
        """Every file is hashed, nothing is loaded. Raises: TamperedModel."""
        return digest_of(self.folder(name, version))

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Raises: NotFound for a version that is not there."""
        self._registry.set_alias(name, alias, self.resolve(name, version))
        self._seen = None

    def resolve(self, name: str, wanted: str = "") -> str:
        """A version, by itself, by alias, or by default the champion's. Raises: NotFound saying what there is.

        Without a champion the only version answers; among several nobody has chosen, so none does. The challenger is the newest
        version, unless an alias says otherwise.
        """
        versions = self._known().get(name, [])
        for one in versions:
            if one.version == wanted or (wanted or CHAMPION) in one.aliases:
                return one.version
        if len(versions) == 1 and not wanted:
            return versions[0].version
        if wanted == CHALLENGER and versions and CHAMPION not in versions[-1].aliases:
            return versions[-1].version
        raise self._absent(name, wanted)

    # -- the models themselves

    def predictor(self, name: str, wanted: str = "", *, digest: str = "") -> Predictor:
        """Raises: NotFound; TamperedModel where files are not those saved, or not those of `digest`; MissingExtra."""
        version = self.resolve(name, wanted)
        found = self._loaded.get((name, version)) or self._loaded_now(name, version)
        if digest and found.model.digest != digest:
            raise TamperedModel(
                f"{found.model.ref} is stored with digest {found.model.digest[:12]} and released with {digest[:12]}.",
                next_step="Restore the released folder, or release this one as a new version.",
            )
        return found

    def is_loaded(self, name: str, wanted: str = "") -> bool:
        """Whether `predictor` would answer at once."""
        return (name, self.resolve(name, wanted)) in self._loaded

    def _loaded_now(self, name: str, version: str) -> Predictor:
        """One thread loads; those that only read what is there never wait for it."""
        with self._lock:
            if (name, version) not in self._loaded:
                self._loaded[name, version] = Predictor(self._load(name, version))
                while len(self._loaded) > KEPT:
                    self._loaded.popitem(last=False)
            return self._loaded[name, version]

    def _load(self, name: str, version: str) -> TabularModel:
        model = load_model(self.folder(name, version))
        if (model.name, model.version) != (name, version):
            raise TamperedModel(
                f"The folder {name}@{version} holds {model.ref}.", next_step="Put each model under its own name."
            )
        return model

    def _known(self) -> dict[str, list[RegisteredAdapter]]:
        now = self._clock()
        if self._seen is None or now - self._seen[0] > LOOK_AGAIN_S:
            found: dict[str, list[RegisteredAdapter]] = {}
            for one in self._registry.adapters():
                if (Path(one.source) / MANIFEST).is_file():
                    found.setdefault(one.name, []).append(one)
            self._seen = now, found
        return self._seen[1]

    def _absent(self, name: str, wanted: str) -> NotFound:
        versions = self.versions(name)
        if not versions:
            there = ", ".join(self.names()) or "none; train one with: assay tabular train"
            return NotFound(f"There is no tabular model {name!r}.", next_step=f"There are: {there}.")
        told = ", ".join([*versions, *(f"{alias} = {one}" for alias, one in sorted(self.aliases(name).items()))])
        if not wanted:
            return NotFound(
                f"{name} has {len(versions)} versions and no champion.",
                next_step=f"Choose one: assay tabular alias {name} champion {versions[-1]}. There are: {told}.",
            )
        return NotFound(f"There is no {name}@{wanted}.", next_step=f"There are: {told}.")
