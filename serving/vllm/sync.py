"""Brings a vLLM server's loaded adapters in line with what should be ready to answer.

Names carry their version (`support@7`) and are never loaded in place: the prefix cache knows a name, not its weights. Adapters
that were loaded by hand under names of another form are reported and left alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from data.errors import AssayError
from serving.registry import (
    AdapterRegistry,
    AdapterStore,
    RegisteredAdapter,
    StoredAdapter,
    TamperedAdapter,
    is_decoder_adapter,
)
from serving.vllm.client import LoadedModel, VLLMClient

WANTED_ALIASES = frozenset({"champion", "challenger"})


@dataclass(frozen=True)
class Synced:
    """What was done to one adapter: loaded, unloaded, kept, refused, failed or foreign."""

    ref: str
    done: str
    why: str = ""
    digest: str = ""

    @property
    def is_good(self) -> bool:
        return self.done not in ("refused", "failed")


def wanted(registered: Iterable[RegisteredAdapter], live: Iterable[str]) -> list[RegisteredAdapter]:
    """Versions that should be loaded: whatever a rollout may answer with, and what the registry's aliases point to."""
    live = set(live)
    return [a for a in registered if a.ref in live or WANTED_ALIASES & set(a.aliases)]


def sync(
    client: VLLMClient,
    registry: AdapterRegistry,
    store: AdapterStore,
    live: dict[str, str],
) -> list[Synced]:
    """Reconcile once. `live` maps the refs of releases that may answer to the digests they were judged by.

    A version whose files are not the registered or judged ones is refused, and unloaded where it was loaded.
    """
    loaded = {m.id: m for m in client.models() if m.parent}
    out: list[Synced] = []
    keep: set[str] = set()
    for adapter in wanted(registry.adapters(), live):
        try:
            source = registry.folder(adapter)
            if not is_decoder_adapter(source):
                continue
            stored = store.put(adapter.ref, source)
            _check_judged(stored, live.get(adapter.ref, ""))
            done = _ensure(client, store, stored, loaded.get(adapter.ref))
        except TamperedAdapter as error:
            out.append(Synced(adapter.ref, "refused", str(error)))
            continue
        except AssayError as error:
            out.append(Synced(adapter.ref, "failed", str(error)))
            keep.add(adapter.ref)
            continue
        keep.add(adapter.ref)
        out.append(Synced(adapter.ref, done, digest=stored.digest))
    return out + _unload_rest(client, loaded, keep)


def _check_judged(stored: StoredAdapter, judged: str) -> None:
    if judged and judged != stored.digest:
        raise TamperedAdapter(
            f"{stored.ref} has digest {stored.digest[:12]}; the rollout was started with {judged[:12]}.",
            next_step="Start a rollout of the version that is registered now, after the gate has judged it.",
        )


def _ensure(client: VLLMClient, store: AdapterStore, stored: StoredAdapter, loaded: LoadedModel | None) -> str:
    path = store.path_at_server(stored)
    if loaded is None:
        client.load_adapter(stored.ref, path)
        return "loaded"
    if loaded.root.rstrip("/") != path:
        why = f"it was loaded from {loaded.root}, not from the verified copy at {path}."
        store.burn(stored.ref, why)
        raise TamperedAdapter(
            f"{stored.ref} is not what was registered: {why}",
            next_step="It was unloaded, and its name is not used again. Register the files as a new version.",
        )
    return "kept"


def _unload_rest(client: VLLMClient, loaded: dict[str, LoadedModel], keep: set[str]) -> list[Synced]:
    out = []
    for ref in sorted(set(loaded) - keep):
        if "@" not in ref:
            out.append(Synced(ref, "foreign", "loaded by hand under a name without a version; left alone"))
            continue
        try:
            client.unload_adapter(ref)
            out.append(Synced(ref, "unloaded"))
        except AssayError as error:
            out.append(Synced(ref, "failed", str(error)))
    return out
