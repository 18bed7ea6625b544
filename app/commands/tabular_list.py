"""assay tabular list: the saved models with what they reached, and the configs that are shipped."""

import json
from typing import Any

import typer

from app.commands.console import AsJson, print_json


def list_(as_json: AsJson = False) -> None:
    """List saved models, oldest first."""
    from app.settings import load_settings
    from app.tabular import models_folder
    from finetune.tabular.config import known_configs
    from serving.registry import FolderRegistry

    registry = FolderRegistry(models_folder(load_settings()))
    found = [
        {"ref": one.ref, "aliases": list(one.aliases), "folder": one.source, **_told(one.source)}
        for one in registry.adapters()
    ]
    configs = [path.stem for path in known_configs()]
    if as_json:
        print_json({"models": found, "configs": configs})
        return
    for one in found:
        typer.echo(f"{one['ref']}  {one['kind']}  " + ", ".join(f"{k} {v:.4f}" for k, v in one["metrics"].items()))
    if not found:
        typer.echo("No model is saved yet.")
    typer.echo(f"Shipped configs: {', '.join(configs)}")


def _told(folder: str) -> dict[str, Any]:
    """Read, not verified: `load_model` does that."""
    from pathlib import Path

    try:
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
        baseline = json.loads((Path(folder) / "model.json").read_text())["baseline"]
        metrics = {name: baseline[name][0] for name in ("roc_auc", "pr_auc") if baseline.get(name, [None])[0]}
        return {"kind": str(manifest["kind"]), "metrics": metrics}
    except (OSError, ValueError, KeyError):
        return {"kind": "unreadable", "metrics": {}}
