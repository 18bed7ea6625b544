"""Adapters between the registry, the rollouts in the database, and a vLLM server: what the `llm` and `rollout` verbs do."""

from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from app.rollout import TABULAR
from app.settings import ROOT, Settings, inherited_environment
from data.database import Database
from data.errors import AssayError, InvalidInput
from serving.registry import AdapterRegistry, AdapterStore, FolderRegistry, find, verified_digest
from serving.rollout.state import Release
from serving.rollout.store import Live, RolloutStore
from serving.vllm.client import VLLMClient
from serving.vllm.process import ServerPlan, VLLMServer, find_python
from serving.vllm.sync import Synced, sync

if TYPE_CHECKING:
    from finetune.parity_report import ParityReport

log = structlog.get_logger("assay.adapters")
CHALLENGER, CHAMPION = "challenger", "champion"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def open_registry(settings: Settings) -> AdapterRegistry:
    """MLflow's, or a plain folder's where `mlflow_uri` names one. A machine where nothing was trained yet has an empty one."""
    if settings.mlflow_uri and Path(settings.mlflow_uri).is_dir():
        return FolderRegistry(Path(settings.mlflow_uri))
    if not settings.mlflow_uri and not (settings.var / "mlflow.db").exists():
        return FolderRegistry(settings.var / "registered")
    from app.wiring import build_registry

    return build_registry(settings)


def open_client(settings: Settings, url: str = "") -> VLLMClient:
    base = url or settings.llm.base_url or f"http://127.0.0.1:{settings.vllm.port}"
    return VLLMClient(base, settings.llm.api_key.get_secret_value())


def plan_server(settings: Settings, model: str, name: str) -> VLLMServer:
    """A server for one base model, not started. Raises: VLLMMissing, InvalidInput for an open host without a key."""
    key = settings.llm.api_key.get_secret_value()
    if settings.vllm.host not in LOOPBACK and not key:
        raise InvalidInput(
            f"A server on {settings.vllm.host} needs a key: whoever reaches it can load files as adapters.",
            field="ASSAY_LLM__API_KEY",
            next_step="Set ASSAY_LLM__API_KEY, or ASSAY_VLLM__HOST=127.0.0.1.",
        )
    path = Path(model)
    where = str(path.resolve()) if path.exists() else model
    plan = ServerPlan(
        model=where,
        name=name or path.name,
        environment=inherited_environment(),
        log=settings.var / "log" / f"vllm-{settings.vllm.port}.log",
        api_key=key,
    )
    return VLLMServer(settings.vllm, plan, find_python(settings.vllm, ROOT))


def sync_adapters(
    settings: Settings, database: Database, registry: AdapterRegistry, client: VLLMClient
) -> list[Synced]:
    """Load what may answer, unload the rest, and let the registry's `champion` alias follow the database."""
    live = RolloutStore(database).live()
    root = settings.home / settings.vllm.adapters_dir
    done = sync(client, registry, AdapterStore(root, settings.vllm.adapters_dir_at_server), live_refs(live))
    _mirror_champions(registry, live)
    return done


def live_refs(live: Live) -> dict[str, str]:
    """name@version -> digest of every release of an adapter that may have to answer."""
    return {
        f"{name}@{release.version}": release.digest
        for name, state in live.states.items()
        if not name.startswith(TABULAR)
        for release in state.live
    }


def registered_release(registry: AdapterRegistry, ref: str) -> tuple[str, Release]:
    """The release that `name`, `name@version` or `name@alias` means. Raises: NotFound, TamperedAdapter."""
    adapter = find(registry, ref if "@" in ref else f"{ref}@{CHALLENGER}")
    return adapter.name, Release(version=adapter.version, digest=verified_digest(registry.folder(adapter)))


def compare_served(
    settings: Settings, client: VLLMClient, path: Path, overrides: tuple[str, ...], name: str
) -> "ParityReport":
    """Check parity of a recipe's trained adapter with the server among its forms. Loads torch and weights."""
    from finetune.kinds import Trained, kind_of
    from finetune.recipe import load_recipe
    from finetune.served import ServedForm

    recipe = load_recipe(path, list(overrides))
    folder = recipe.folder / "adapter"
    digest, kind = verified_digest(folder), kind_of(recipe)
    prepared = kind.prepare(recipe)
    if name:
        return kind.check_parity(recipe, prepared, Trained(folder, {}, (), {}), ServedForm(client.ask, name))
    name = f"{recipe.name}@parity-{digest[:12]}"
    store = AdapterStore(settings.home / settings.vllm.adapters_dir, settings.vllm.adapters_dir_at_server)
    client.load_adapter(name, store.path_at_server(store.put(name, folder)))
    try:
        return kind.check_parity(recipe, prepared, Trained(folder, {}, (), {}), ServedForm(client.ask, name))
    finally:
        client.unload_adapter(name)


def _mirror_champions(registry: AdapterRegistry, live: Live) -> None:
    known = {a.ref: a for a in registry.adapters()}
    for name, state in live.states.items():
        adapter = known.get(f"{name}@{state.champion.version}") if state.champion else None
        if adapter is not None and CHAMPION not in adapter.aliases:
            try:
                registry.set_alias(name, CHAMPION, adapter.version)
            except AssayError as error:  # the database is the truth; the alias is a courtesy
                log.warning("adapters.alias_failed", name=name, error=str(error))
