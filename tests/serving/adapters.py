"""Folders that look like trained adapters, for tests that load no weights."""

import hashlib
import json
from pathlib import Path


def make_adapter(folder: Path, content: bytes = b"weights", *, task: str = "CAUSAL_LM") -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(content)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "task_type": task, "r": 8}))
    (folder / "README.md").write_text("# A card\n")
    write_manifest(folder)
    return folder


def write_manifest(folder: Path) -> None:
    listed = [p for p in sorted(folder.iterdir()) if p.name != "manifest.json"]
    files = {p.name: {"sha256": hashlib.sha256(p.read_bytes()).hexdigest(), "size_bytes": 1} for p in listed}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
