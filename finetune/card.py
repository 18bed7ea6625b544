"""The adapter's README.md: Hugging Face header, use, data lineage, recipe, metrics with intervals, parity, limits."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from finetune.examples import FileDigest
from finetune.findings import PreflightReport
from finetune.kinds import Trained
from finetune.parity_report import ParityReport
from finetune.recipe import AnyRecipe, recipe_digest

TASKS = {
    "embedder": "sentence-similarity",
    "reranker": "text-ranking",
    "reader": "question-answering",
    "grounding": "text-classification",
    "classifier": "text-classification",
}
UNSAID = "Not stated. Set card.{} in the recipe before anyone else uses this adapter."


@dataclasses.dataclass(frozen=True)
class Told:
    """Everything a card tells."""

    recipe: AnyRecipe
    trained: Trained
    preflight: PreflightReport
    parity: ParityReport
    files: Sequence[FileDigest]
    environment: Mapping[str, str]


def write_card(folder: Path, told: Told) -> Path:
    """Write README.md into the adapter's folder, over the one that the trainer's library left."""
    path = folder / "README.md"
    path.write_text(card_text(told), "utf-8")
    return path


def card_text(told: Told) -> str:
    """The whole card."""
    recipe = told.recipe
    sections = {
        "Intended use": [recipe.card.intended_use or UNSAID.format("intended_use")],
        "Limits": list(_limits(told)),
        "Results": list(_results(told)),
        "Data": list(_data(told)),
        "Parity": list(_parity(told.parity)),
        "Preflight": list(_preflight(told.preflight)),
        "Training": list(_training(told)),
    }
    body = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())
    header = yaml.safe_dump(_header(told), sort_keys=False, allow_unicode=True)
    return f"---\n{header}---\n\n# {recipe.name}\n\n{recipe.description or 'A LoRA adapter.'}\n\n{body}\n"


def _header(told: Told) -> dict[str, Any]:
    recipe = told.recipe
    results = [
        {"type": name, "name": name, "value": round(m.value, 4)} for name, m in told.trained.metrics.items() if m.n
    ]
    task = {"type": TASKS.get(recipe.kind, "text-generation")}
    heldout = {"type": "heldout", "name": "held-out rows"}
    index = [{"name": recipe.name, "results": [{"task": task, "dataset": heldout, "metrics": results}]}]
    return {
        "base_model": recipe.base.path,
        "library_name": "peft",
        "license": recipe.card.licence,
        "language": recipe.card.language,
        "pipeline_tag": task["type"],
        "tags": ["lora", recipe.kind, "assay"],
    } | ({"model-index": index} if results else {})


def _limits(told: Told) -> Iterator[str]:
    yield told.recipe.card.limits or UNSAID.format("limits")
    if not Path(told.recipe.base.path).exists() and not told.recipe.base.revision:
        yield "\nThe base was not pinned to a revision: this run cannot be repeated exactly."
    if told.preflight.n_eval < 30:
        yield f"\nOnly {told.preflight.n_eval} rows were held out: the intervals below are wide and say little."


def _results(told: Told) -> Iterator[str]:
    yield "Held-out rows; 95 % intervals, bootstrap over rows.\n"
    yield "| metric | value | 95 % interval | rows |\n|---|---|---|---|"
    for name, m in told.trained.metrics.items():
        yield f"| {name} | {m.value:.4f} | {m.low:.4f} to {m.high:.4f} | {m.n} |"


def _data(told: Told) -> Iterator[str]:
    yield "| file | role | rows | licence | origin | sha256 |\n|---|---|---|---|---|---|"
    for f in told.files:
        origin = f.source.origin or "not stated"
        yield f"| {f.source.path.name} | {f.role} | {f.n_rows} | {f.source.licence} | {origin} | `{f.sha256}` |"


def _parity(report: ParityReport) -> Iterator[str]:
    verdict = "passed" if report.is_passed else "FAILED: not registered"
    yield (
        f"{verdict}. Compared: {', '.join(report.compared)}; {report.n_prompts} prompts, {report.n_tokens} tokens; largest "
        f"difference {report.largest_difference:.2g} nats (allowed: {report.tolerance:g})."
    )
    yield from (f"- not compared: {what}" for what in report.skipped)
    yield from (f"- {m.check}, {m.where}: {m.detail}" for m in report.mismatches)


def _preflight(report: PreflightReport) -> Iterator[str]:
    yield (
        f"{report.n_train} training rows, {report.n_eval} held out, {report.n_dropped} dropped; "
        f"{report.n_trainable_tokens} learned tokens; compared with {report.n_suite_items} evaluation questions."
    )
    for finding in report.findings:
        yield f"- {finding.code}{' (accepted in the recipe)' if finding.is_allowed else ''}: {finding.message}"


def _training(told: Told) -> Iterator[str]:
    facts = {
        "recipe": recipe_digest(told.recipe),
        "base": told.recipe.base.path,
        "base digest": told.trained.base_digest,
        **told.trained.facts,
        "peak memory (GiB)": round(told.trained.peak_memory_bytes / 2**30, 2),
        **told.environment,
    }
    yield from (f"- {name.replace('_', ' ')}: {value}" for name, value in facts.items() if value not in (None, ""))
    recipe = yaml.safe_dump(told.recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    yield f"\n```yaml\n{recipe}```"
