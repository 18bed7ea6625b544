"""python -m finetune.bench [FOLDER] [--rounds N] [--only packed] [--quantise nf4]: packed against unpacked, and this package against TRL alone.

Every round trains each variant once, in turn, on the same rows; ratios are taken within a round, and their median is told. Useful
tokens are those of the rows, padding not counted; per second of the clock, and per second of this process's CPU time, which other
work on the machine disturbs less. On a CUDA device also the most memory that each variant held. Prints JSON.
"""

import argparse
import contextlib
import gc
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from trl import SFTConfig, SFTTrainer

from finetune import sft
from finetune.conversations import rendered_ids
from finetune.decoder_model import load_base, lora_config
from finetune.decoder_recipes import DecoderRecipe
from finetune.launch import Place, described_environment, silence_telemetry
from finetune.recipe import parse_recipe
from finetune.toy_decoder import ToyShape, make_toy_decoder, sample_texts
from finetune.tracking import TrackedRun
from finetune.trainer_settings import callbacks, trainer_settings, uses_bf16

MAX_LENGTH = 512
PAIRS = (("packed", "unpacked"), ("packed", "packed, TRL alone"), ("unpacked", "unpacked, TRL alone"))


@dataclass(frozen=True)
class Workload:
    """What each variant trains. A step of packed rows holds up to `scale` sequences, one of unpacked rows eight times as many rows."""

    n_rows: int = 120
    scale: int = 1
    shape: ToyShape = field(default_factory=ToyShape)
    quantise: str | None = None


@dataclass(frozen=True)
class Rate:
    """Useful tokens per second, and the most memory held on the CUDA device (0 without one)."""

    per_wall_s: float
    per_cpu_s: float
    peak_mib: float = 0.0


def mixed_rows(n: int, seed: int = 17) -> list[dict]:
    """Conversations of mixed length: log-normal, median about 60 tokens, the longest cut at 450 words."""
    chance = random.Random(seed)
    words = " ".join(sample_texts()).split()
    rows = []
    for i in range(n):
        n_words = min(max(4, round(chance.lognormvariate(3.4, 1.0))), 450)
        start = chance.randrange(len(words) - n_words)
        said = " ".join(words[start : start + n_words])
        rows.append({"messages": [{"role": "user", "content": f"Go on, {i}."}, {"role": "assistant", "content": said}]})
    return rows


def bench_recipe(folder: Path, base: Path, load: Workload, *, packing: bool) -> DecoderRecipe:
    """One epoch; a step holds about as many tokens packed as unpacked."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in mixed_rows(load.n_rows)), "utf-8")
    return parse_recipe(
        {
            "kind": "sft",
            "name": f"bench-{'packed' if packing else 'unpacked'}",
            "base": {"path": str(base), "quantise": load.quantise},
            "output": str(folder),
            "data": {"train": [{"path": str(path), "licence": "made here"}], "eval_share": 0.0},
            "lora": {"r": 8, "alpha": 16},
            "train": {
                "epochs": 1,
                "max_length": MAX_LENGTH,
                "batch_size": load.scale * (1 if packing else 8),
                "packing": packing,
                "gradient_checkpointing": False,
                "early_stopping": None,
                "resume": False,
            },
            "tracking": {"uri": f"sqlite:///{folder}/mlflow.db"},
        }
    )


def ours(recipe: DecoderRecipe) -> Rate:
    """Tokens per second of training as `finetune.train` does it, curve to MLflow included."""
    prepared = sft.prepare(recipe)
    tracked = TrackedRun(recipe, {})
    settings = sft.sft_config(recipe, Place())
    _without_evaluation(settings)
    trainer = SFTTrainer(
        model=load_base(recipe.base, bf16=uses_bf16(recipe.train)),
        args=settings,
        train_dataset=sft.dataset_of(prepared.train),
        processing_class=prepared.aids,
        peft_config=lora_config(recipe.lora),
        callbacks=callbacks(recipe, tracked.log),
    )
    rate = _rate(trainer, sum(len(example.input_ids) for example in prepared.train))
    tracked.finish()
    return rate


def bare(recipe: DecoderRecipe) -> Rate:
    """Tokens per second of TRL alone: its own tokenisation and mask, the same settings."""
    tokenizer = AutoTokenizer.from_pretrained(recipe.base.path)
    rows = [json.loads(line) for line in recipe.data.train[0].path.read_text("utf-8").splitlines()]
    settings = SFTConfig(
        **trainer_settings(recipe, Place()),
        max_length=recipe.train.max_length,
        packing=recipe.train.packing,
        packing_strategy="bfd",
        assistant_only_loss=True,
    )
    _without_evaluation(settings)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(recipe.base.path, **_load_options(recipe)),
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    lengths = [min(len(rendered_ids(tokenizer, row["messages"])), MAX_LENGTH) for row in rows]
    return _rate(trainer, sum(lengths))


def _load_options(recipe: DecoderRecipe) -> dict[str, Any]:
    """What TRL's documentation tells to load a base with: the same precision and quantisation as ours."""
    dtype = torch.bfloat16 if uses_bf16(recipe.train) else torch.float32
    if recipe.base.quantise is None:
        return {"dtype": dtype}
    four_bits = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return {"dtype": dtype, "quantization_config": four_bits} | (
        {"device_map": {"": 0}} if torch.cuda.is_available() else {}
    )


def measure(folder: Path, rounds: int, kinds: Sequence[str], load: Workload = Workload()) -> dict:
    """Rates and ratios over rounds of `packed`, `unpacked` or both."""
    base = make_toy_decoder(folder / "toy", shape=load.shape, steps=5)
    variants: dict[str, Callable[[], Rate]] = {}
    for kind in kinds:
        recipe = bench_recipe(folder, base, load, packing=kind == "packed")
        variants[kind] = partial(ours, recipe)
        variants[f"{kind}, TRL alone"] = partial(bare, recipe)
    rates: dict[str, list[Rate]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name in variants if number % 2 else reversed(variants):
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            rate = variants[name]()
            if number or not rounds:  # the first round warms up
                rates[name].append(rate)
    return {
        **{clock: _ratios(rates, clock) for clock in ("per_wall_s", "per_cpu_s")},
        "peak_mib": {name: round(statistics.median(r.peak_mib for r in found)) for name, found in rates.items()},
        "rounds": rounds,
        "environment": described_environment(),
    }


def _ratios(rates: dict[str, list[Rate]], clock: str) -> dict:
    values = {name: [getattr(rate, clock) for rate in found] for name, found in rates.items()}

    def ratio(a: str, b: str) -> dict[str, float]:
        found = [x / y for x, y in zip(values[a], values[b], strict=True)]
        return {
            "median": round(statistics.median(found), 3),
            "least": round(min(found), 3),
            "most": round(max(found), 3),
        }

    return {
        "tokens": {name: round(statistics.median(found)) for name, found in values.items()},
        **{f"{a} / {b}": ratio(a, b) for a, b in PAIRS if a in values and b in values},
    }


def _rate(trainer: SFTTrainer, n_tokens: int) -> Rate:
    has_cuda = torch.cuda.is_available()
    if has_cuda:
        torch.cuda.reset_peak_memory_stats()
    wall, cpu = time.perf_counter(), time.process_time()
    trainer.train()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Rate(n_tokens / wall, n_tokens / cpu, torch.cuda.max_memory_allocated() / 2**20 if has_cuda else 0.0)


def _without_evaluation(settings: SFTConfig) -> None:
    settings.save_strategy = settings.eval_strategy = "no"


def main() -> None:
    parser = argparse.ArgumentParser(prog="finetune.bench", description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="where the toy and the runs go; a temporary folder by default"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=6,
        help="an even number runs each variant as often before as after the others; 0 tells what the round gives that warms up",
    )
    parser.add_argument(
        "--only", choices=("packed", "unpacked"), help="leave the other out, and the comparison of the two"
    )
    parser.add_argument("--quantise", choices=("nf4",), help="hold the frozen base in 4 bits (QLoRA)")
    parser.add_argument("--rows", type=int, default=Workload.n_rows)
    parser.add_argument("--scale", type=int, default=Workload.scale, help="packed sequences in a step")
    parser.add_argument("--hidden", type=int, default=ToyShape.hidden_size, help="width of the decoder that is made")
    parser.add_argument("--layers", type=int, default=ToyShape.n_layers)
    given = parser.parse_args()
    shape = ToyShape(hidden_size=given.hidden, n_layers=given.layers, n_heads=given.hidden // 32)
    load = Workload(given.rows, given.scale, shape, given.quantise)
    silence_telemetry()
    with tempfile.TemporaryDirectory() as aside:
        folder = given.folder or Path(aside)
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(sys.stderr):  # trainers print their points
            results = measure(folder, given.rounds, [given.only] if given.only else ["packed", "unpacked"], load)
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
