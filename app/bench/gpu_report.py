"""docs/gpu-results.md: what was tested and measured on a CUDA device, or that nothing was."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAD = """# On a GPU

Written by `make gpu-check` (`python -m app.bench.gpu`) on a machine with a CUDA device: don't edit. It runs the tests marked `gpu` (bf16
LoRA, 4-bit QLoRA, attention implementations, FAISS and vLLM on a device) and measures what is listed here. Elsewhere the command says that
there is no device, exits with 4 and leaves this page alone.
"""
PLAN = """
**Nothing was measured yet: no GPU was at hand.** The code paths for CUDA are those of the processor with another device, and have run on the
processor alone. What `make gpu-check` will put here:

| part | figures |
|---|---|
"""
HOW = {
    "LoRA": "A Qwen3-shaped decoder of random weights (width 1024, 24 layers), 4,000 conversations of mixed length, rank 8, bf16. Packed and unpacked "
    'hold about as many tokens a step. "TRL alone" is SFTTrainer with the same settings and its own tokenisation.',
    "QLoRA": "The same over the base held in 4 bits (NF4, double quantised).",
    "embedding": "all-MiniLM-L6-v2 under sentence-transformers, fp32, batches of 256. What `assay serve` runs on a processor without torch is in "
    "[benchmarks.md](benchmarks.md).",
    "dense index": "500,000 made-up vectors of 384 dimensions in weak clusters, searched one at a time: compared exactly in float16 on the device, through "
    "inverted lists on one thread of the processor.",
}


@dataclass(frozen=True)
class TestsRun:
    """The last line of pytest, and why tests were skipped."""

    __test__ = False

    passed: bool
    summary: str
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Figures by name, nested; or the end of what a part that failed had to say."""

    figures: dict[str, Any]
    failed: str = ""


def write(path: Path, where: str, tests: TestsRun | None, measured: dict[str, Measured]) -> None:
    lines = [HEAD, f"Measured {where}.", ""]
    if tests is not None:
        lines += [f"Tests: {'passed' if tests.passed else '**failed**'}. `{tests.summary.strip('= ')}`", ""]
        lines += [f"- {line}" for line in tests.skipped] + ([""] if tests.skipped else [])
    for part, found in measured.items():
        lines += [f"## {part}", "", HOW[part], ""]
        if found.failed:
            lines += ["**Not measured**, it failed:", "", "```", found.failed.strip(), "```", ""]
        else:
            lines += ["| figure | value |", "|---|---|", *_rows(found.figures), ""]
    path.write_text("\n".join(lines).rstrip() + "\n", "utf-8")


def plan() -> str:
    """The page before anything was measured."""
    return HEAD + PLAN + "".join(f"| {part} | {how} |\n" for part, how in HOW.items())


def _rows(figures: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{prefix}{name}: ")
        else:
            shown = f"{value:,}" if isinstance(value, int) and value >= 10_000 else value
            yield f"| {prefix}{name} | {shown} |"
