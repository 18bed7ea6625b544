"""python -m finetune.bench [FOLDER] [--rounds N] [--only packed]: packed against unpacked, and this package against TRL alone. Useful tokens/s.

Every round trains each variant once, in turn, on the same rows; ratios are taken within a round, and their median is told. Useful
tokens are those of the rows, padding not counted; per second of the clock, and per second of this process's CPU time, which other
work on the machine disturbs less. Prints JSON.
"""

import argparse
import contextlib
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from finetune import sft
from finetune.conversations import rendered_ids
from finetune.decoder_model import load_base, lora_config
from finetune.decoder_recipes import DecoderRecipe
from finetune.launch import Place, described_environment, silence_telemetry
from finetune.recipe import parse_recipe
from finetune.toy_decoder import make_toy_decoder, sample_texts
from finetune.tracking import TrackedRun
from finetune.trainer_settings import callbacks, trainer_settings

MAX_LENGTH = 512
N_ROWS = 120
PAIRS = (("packed", "unpacked"), ("packed", "packed, TRL alone"), ("unpacked", "unpacked, TRL alone"))


@dataclass(frozen=True)
class Rate:
    """Useful tokens per second."""

    per_wall_s: float
    per_cpu_s: float


def mixed_rows(n: int = N_ROWS, seed: int = 17) -> list[dict]:
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


def bench_recipe(folder: Path, base: Path, *, packing: bool) -> DecoderRecipe:
    """One epoch; a step holds up to MAX_LENGTH * 2 tokens packed, and as many rows on average unpacked."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in mixed_rows()), "utf-8")
    return parse_recipe(
        {
            "kind": "sft",
            "name": f"bench-{'packed' if packing else 'unpacked'}",
            "base": {"path": str(base)},
            "output": str(folder),
            "data": {"train": [{"path": str(path), "licence": "made here"}], "eval_share": 0.0},
            "lora": {"r": 8, "alpha": 16},
            "train": {
                "epochs": 1,
                "max_length": MAX_LENGTH,
                "batch_size": 1 if packing else 8,
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
        model=load_base(recipe.base, bf16=False),
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
        model=AutoModelForCausalLM.from_pretrained(recipe.base.path),
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    lengths = [min(len(rendered_ids(tokenizer, row["messages"])), MAX_LENGTH) for row in rows]
    return _rate(trainer, sum(lengths))


def measure(folder: Path, rounds: int, kinds: Sequence[str]) -> dict:
    """Rates and ratios over rounds of `packed`, `unpacked` or both."""
    base = make_toy_decoder(folder / "toy", steps=5)
    variants: dict[str, Callable[[], Rate]] = {}
    for kind in kinds:
        recipe = bench_recipe(folder, base, packing=kind == "packed")
        variants[kind] = partial(ours, recipe)
        variants[f"{kind}, TRL alone"] = partial(bare, recipe)
    rates: dict[str, list[Rate]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name in variants if number % 2 else reversed(variants):
            rate = variants[name]()
            if number:  # the first round warms up
                rates[name].append(rate)
    return {
        **{clock: _ratios(rates, clock) for clock in ("per_wall_s", "per_cpu_s")},
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
    wall, cpu = time.perf_counter(), time.process_time()
    trainer.train()
    return Rate(n_tokens / (time.perf_counter() - wall), n_tokens / (time.process_time() - cpu))


def _without_evaluation(settings: SFTConfig) -> None:
    settings.save_strategy = settings.eval_strategy = "no"


def main() -> None:
    parser = argparse.ArgumentParser(prog="finetune.bench", description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", help="where the toy and the runs go; a temporary folder by default"
    )
    parser.add_argument(
        "--rounds", type=int, default=6, help="an even number runs each variant as often before as after the others"
    )
    parser.add_argument(
        "--only", choices=("packed", "unpacked"), help="leave the other out, and the comparison of the two"
    )
    given = parser.parse_args()
    silence_telemetry()
    with tempfile.TemporaryDirectory() as aside:
        folder = given.folder or Path(aside)
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.redirect_stdout(sys.stderr):  # trainers print their points
            results = measure(folder, given.rounds, [given.only] if given.only else ["packed", "unpacked"])
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
