"""The encoder's graphs, built once a process and lent to every home: each new home would take seconds to build the same ones."""

import atexit
import tempfile
from functools import cache
from pathlib import Path

from serving.config import HeadsConfig
from serving.local.encoder import MiniLMEncoder
from serving.local.shipped_heads import ShippedHeads


def lend_graphs(home: Path) -> Path:
    """Put the built graphs where a store in `home` keeps those that it built itself. Returns `home`."""
    models = home / "var" / "models"
    models.mkdir(parents=True, exist_ok=True)
    for graph in _built().iterdir():
        if not (models / graph.name).exists():
            (models / graph.name).symlink_to(graph)
    return home


@cache
def _built() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="assay-graphs-")
    atexit.register(folder.cleanup)
    encoder = MiniLMEncoder(cache=Path(folder.name))
    for kind in ("document", "query"):
        encoder.embed(["word"], kind=kind)
    heads = ShippedHeads(HeadsConfig(), cache=Path(folder.name))
    heads.load()
    heads.close()
    return Path(folder.name)
