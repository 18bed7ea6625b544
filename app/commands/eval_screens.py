"""assay eval toxicity --data comments.jsonl.gz --json · assay eval injection --data texts.jsonl.gz --json"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.progress import bar

if TYPE_CHECKING:
    from evals.labelling import Kind, LabelledText, Screen

TIMED = 100
Train = Annotated[
    Path | None, typer.Option(help="Rows to train the TF-IDF baseline on, as in --data; none: it is not measured.")
]

Sampled = Annotated[int, typer.Option(min=0, help="Measure only so many, drawn with --seed; 0 for all.")]
Seed = Annotated[int, typer.Option(help="Seed of that draw.")]


@dataclass(frozen=True)
class _Draw:
    n: int
    seed: int


def toxicity(
    data: Annotated[
        Path | None,
        typer.Option(help="Rows with text, label (toxic or not), perhaps group and functionality; .jsonl[.gz]."),
    ] = None,
    probes: Annotated[
        bool, typer.Option("--probes", help="Our own probes: counter-speech, negation, reclaimed words, plain talk.")
    ] = False,
    train: Train = None,
    sample: Sampled = 0,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Measure AUROC, recall and false positives of the toxicity screen, group by group and probe by probe.

    A word list and, with --train, TF-IDF with logistic regression are measured beside it.
    """
    from app.head_baselines import listed_words
    from data.errors import InvalidInput
    from evals.labelling import PROBES

    if data is None and not probes:
        raise InvalidInput("There is nothing to measure.", field="data", next_step="Give --data FILE, or --probes.")
    draw = _Draw(sample, seed)
    baselines = {"word_list": (listed_words, 0.5)}
    facts = [_measured("toxicity", path, train, baselines, draw) for path in (data, PROBES if probes else None) if path]
    _told(facts, as_json)


def injection(
    data: Annotated[Path, typer.Option(help="Rows with text, label (injection or benign); .jsonl[.gz].")],
    train: Train = None,
    sample: Sampled = 0,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Measure AUROC, recall and false positives of the screen for orders in texts. The product's rules are measured beside it."""
    from app.head_baselines import injection_rules

    _told([_measured("injection", data, train, {"rules": (injection_rules, 0.5)}, _Draw(sample, seed))], as_json)


def _measured(
    kind: "Kind", data: Path, train: Path | None, baselines: "dict[str, tuple[Screen, float]]", draw: _Draw
) -> dict[str, Any]:
    from app.settings import load_settings
    from app.telemetry import configure_logging
    from app.wiring import build_heads
    from evals.draw import drawn
    from evals.labelling import load_texts

    settings = load_settings()
    configure_logging("warning")
    texts = drawn(load_texts(data, kind), draw.n, draw.seed)
    heads = build_heads(settings)
    head = getattr(heads, kind)
    screens = dict(baselines)
    if train is not None:
        screens["tfidf"] = (_tfidf(load_texts(train, kind)), 0.5)
    if head is not None:
        screens = {kind: (head.probabilities, head.threshold)} | screens
    facts: dict[str, Any] = {"data": data.name, "kind": kind, "adapter": head.id if head else None}
    facts |= {name: _one(name, texts, *how) for name, how in screens.items()}
    heads.close()
    return facts


def _one(name: str, texts: "Sequence[LabelledText]", screen: "Screen", threshold: float) -> dict[str, Any]:
    from evals.labelling import measure, scores_of
    from evals.rates import measured_rates

    with bar(name, len(texts)) as done:
        scores = scores_of(texts, screen, done)
    rates = measured_rates(screen, [row.text for row in texts[:TIMED]])
    return measure(texts, scores, threshold) | {"texts_a_second": rates}


def _tfidf(rows: "Sequence[LabelledText]") -> Callable[[Sequence[str]], list[float]]:
    from evals.tfidf_model import TfidfModel

    return TfidfModel([row.text for row in rows], [row.is_positive for row in rows]).probabilities


def _told(facts: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(facts[0] if len(facts) == 1 else facts)
    else:
        for one in facts:
            _print(one)


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    told = facts["adapter"] or f"no {facts['kind']} adapter ships: only baselines were measured"
    parts = {name: part for name, part in facts.items() if isinstance(part, dict)}
    console.print(f"{facts['data']}: {next(iter(parts.values()))['n']} texts; {told}")
    table = Table("by", "threshold", "AUROC", "recall", "false positives", "texts/s a core")
    for name, part in parts.items():
        cells = [_cell(part[key]) for key in ("auroc", "recall", "false_positive_rate")]
        table.add_row(name, str(part["threshold"]), *cells, str(part["texts_a_second"].get("per_core_second")))
    console.print(table)
    for name, part in parts.items():
        _print_groups(console, name, part.get("groups"))
    if any("functionalities" in part for part in parts.values()):
        probes = Table("what is probed", "toxic?", *parts)
        for probe, first in next(iter(parts.values()))["functionalities"].items():
            shares = [str(part["functionalities"][probe]["right"]["value"]) for part in parts.values()]
            probes.add_row(probe, {True: "yes", False: "no", None: "both"}[first["is_positive"]], *shares)
        console.print("Share judged right:")
        console.print(probes)


def _print_groups(console: Any, name: str, groups: dict[str, Any] | None) -> None:
    if not groups:
        return
    told = {
        group: m["false_positive_rate"]["value"]
        for group, m in groups["by_group"].items()
        if m.get("false_positive_rate")
    }
    console.print(f"{name}, false positives by group: " + ", ".join(f"{group} {rate}" for group, rate in told.items()))
    if "largest_gap" in groups:
        between = f", between {' and '.join(groups['between'])}" if groups["between"] else ""
        console.print(f"  largest gap {groups['largest_gap']}{between}")


def _cell(measured: dict[str, Any] | None) -> str:
    if not measured:
        return "-"
    low, high = measured["interval_95"]
    return f"{measured['value']} ({low} .. {high})"
