"""assay eval grounding --data pairs.jsonl.gz --json"""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.progress import bar

COSINE_THRESHOLD = 0.69
"""Fitted on held-out pairs of the sources that the adapter was trained on, as the adapter's own was."""
TIMED = 100
STRANGERS = 500
"""Hypotheses that are judged beside premises of others, too."""


def grounding(
    data: Annotated[
        Path, typer.Option(help="Rows with premise, hypothesis, label (supported or not), perhaps source; .jsonl[.gz].")
    ],
    fit: Annotated[
        Path | None, typer.Option(help="Such rows to fit the thresholds of all that is measured on, instead of theirs.")
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="Measure only so many, drawn with --seed; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of that draw.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure balanced accuracy, AUROC and pairs a second of what decides whether a premise supports a sentence.

    Cosine and shared words are measured beside it. Of up to 500 hypotheses it also tells how often a premise that belongs to another
    one is taken for support.
    """
    from app.head_baselines import cosine, shared_words
    from app.settings import load_settings
    from app.telemetry import configure_logging
    from app.wiring import build_encoder, build_heads
    from evals.draw import drawn
    from evals.grounding import load_pairs, measure, scores_of, strangers, taken_for_support
    from evals.rates import measured_rates
    from evals.separation import best_threshold
    from serving.local.grounder import LexicalGrounder

    settings = load_settings()
    configure_logging("warning")
    pairs = drawn(load_pairs(data), sample, seed)
    fitting = drawn(load_pairs(fit), sample, seed) if fit else []
    heads, unrelated = build_heads(settings), strangers(pairs, STRANGERS, seed)
    measured = {
        "cosine": (cosine(build_encoder(settings, settings.encoder.model)), COSINE_THRESHOLD),
        "shared_words": (shared_words, LexicalGrounder.threshold),
    }
    if (head := heads.grounding) is not None:
        measured = {"grounding": (head.supports, head.threshold)} | measured
    facts: dict[str, Any] = {"data": data.name, "adapter": head.id if head else None}
    for name, (supports, threshold) in measured.items():
        if fitting:
            threshold = best_threshold(scores_of(fitting, supports), [pair.is_supported for pair in fitting])
        with bar(name, len(pairs)) as done:
            scores = scores_of(pairs, supports, done)
        rates = measured_rates(supports, [(pair.premise, pair.hypothesis) for pair in pairs[:TIMED]])
        facts[name] = measure(pairs, scores, threshold) | {
            "unrelated_supported": taken_for_support(scores_of(unrelated, supports), threshold),
            "pairs_a_second": rates,
        }
    heads.close()
    if as_json:
        print_json(facts)
    else:
        _print(facts, list(measured))


def _print(facts: dict[str, Any], names: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"{facts['data']}: {facts['adapter'] or 'no grounding adapter ships: only baselines were measured'}")
    table = Table("by", "of", "pairs", "supported", "balanced accuracy", "AUROC", "at its best threshold")
    for name in names:
        for source, part in {"all": facts[name], **facts[name].get("sources", {})}.items():
            cells = [_cell(part["balanced_accuracy"]), _cell(part["auroc"]), str(part["best_balanced_accuracy"])]
            table.add_row(name, source, str(part["n"]), str(part["n_supported"]), *cells)
        if "mean_over_sources" in facts[name]:
            table.add_row(name, "mean over sources", "", "", str(facts[name]["mean_over_sources"]))
    console.print(table)
    wrongly = {name: facts[name]["unrelated_supported"] for name in names}
    console.print("Another's premise taken for support: " + ", ".join(f"{n} {_cell(s)}" for n, s in wrongly.items()))
    rates = {name: facts[name]["pairs_a_second"].get("per_core_second") for name in names}
    console.print("Pairs a second on one core: " + ", ".join(f"{name} {rate}" for name, rate in rates.items()))


def _cell(measured: dict[str, Any] | None) -> str:
    if not measured:
        return "-"
    low, high = measured["interval_95"]
    return f"{measured['value']} ({low} .. {high})"
