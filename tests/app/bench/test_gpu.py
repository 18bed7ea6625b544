"""`make gpu-check` where there is no device, and its measuring rehearsed on the processor."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from app.bench.gpu_dense import bench_dense
from app.settings import ROOT
from tests.running_server import clean_environment


def run(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "app.bench.gpu", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=clean_environment(OMP_NUM_THREADS="1"), capture_output=True, text=True, timeout=600
    )


@pytest.mark.slow  # imports torch
@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there is a device")
def test_without_a_device_it_says_so_exits_with_4_and_leaves_the_page_alone():
    before = (ROOT / "docs" / "gpu-results.md").read_bytes()
    done = run()
    assert done.returncode == 4
    assert "no CUDA device" in done.stderr
    assert "Traceback" not in done.stderr
    assert (ROOT / "docs" / "gpu-results.md").read_bytes() == before


@pytest.mark.slow  # trains eight times, a few steps each
def test_every_part_measures_in_a_rehearsal_on_the_processor(tmp_path):
    page = tmp_path / "rehearsal.md"
    done = run("--rehearse", page)
    text = page.read_text()
    assert done.returncode == 0, text + done.stderr[-2000:]
    assert "failed" not in text
    for variant in ("packed", "unpacked", "packed, TRL alone", "unpacked, TRL alone"):
        assert text.count(f"| tokens a second: {variant} |") == 2, "with LoRA and with QLoRA"
    assert "| ratio, median of rounds: packed / unpacked |" in text
    assert "| texts of 120 words a second: cpu |" in text
    assert "| on the processor: recall_at_10 |" in text


@pytest.mark.slow
def test_the_dense_index_is_measured_against_exact_search():
    found = bench_dense(2000, np.random.default_rng(1), on_gpu=False, dim=16)
    assert found["on the processor"]["recall_at_10"] > 0.8
    assert found["on the processor"]["p50_ms"] > 0
    assert "on the device" not in found
