"""assay eval bias · assay eval bias --data bbq.jsonl.gz · assay eval bias --pairs crows_pairs.jsonl.gz --model DIR"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, opened, print_json
from app.commands.progress import bar
from data.errors import InvalidInput

if TYPE_CHECKING:
    from evals.bias_questions import Answerer
    from serving.local.heads import SpanReader
    from serving.local.reader import ExtractiveReader

SHOWN = 12
"""Lines of a table on a terminal."""


def bias(
    data: Annotated[
        Path | None,
        typer.Option(help="Questions in BBQ's fields (.jsonl[.gz]), answered by the product's own reader."),
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Sentence pairs in CrowS-Pairs' fields (.jsonl[.gz]); needs --model.")
    ] = None,
    model: Annotated[str, typer.Option(help="A local language model (folder) for --pairs.")] = "",
    suite: Annotated[str, typer.Option(help="The suite of group-swapped questions, where neither is given.")] = "bias",
    limit: Annotated[int, typer.Option(min=0, help="Only the first so many rows; 0 for all.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure whether answers depend on whom they are about, or on who asks.

    Without --data and --pairs, the questions of the suite are asked as people of different groups, and their answers compared.
    """
    if data is not None and pairs is not None:
        raise InvalidInput("--data and --pairs are two measurements.", field="data", next_step="Give one of them.")
    if (pairs is None) != (not model):
        raise InvalidInput("--pairs needs --model, and --model needs --pairs.", field="model", next_step="Give both.")
    facts = _questions(data, limit) if data else _pairs(pairs, model, limit) if pairs else _groups(suite, limit)
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _questions(data: Path, limit: int) -> dict[str, Any]:
    from evals.bias_questions import ask_all, load_bias_questions, measure

    questions = load_bias_questions(data)[: limit or None]
    with opened() as assay, bar("Asking", len(questions)) as done:
        heads = assay.heads
        if heads is not None and heads.reader is not None:
            answer, name = spanning(heads.reader), heads.reader.id
        else:
            reader = assay.rag.parts.reader
            answer, name = reading(reader), f"{reader.name}@{reader.digest[:12]}"
        return {"data": data.name, "answered_by": name, **measure(ask_all(questions, answer, done))}


def spanning(reader: "SpanReader") -> "Answerer":
    """The reading adapter over one context at a time: its best span, nothing below its own threshold."""

    def answer(context: str, question: str) -> str:
        (span,) = reader.read(question, [context])
        return span.text if span.probability >= 0.5 else ""

    return answer


def reading(reader: "ExtractiveReader") -> "Answerer":
    """The sentence reader over one context at a time: the text of its best extract, nothing where it abstains."""
    from data.records import Chunk, Hit, SourceRef

    source = SourceRef(document_id="context", uri="context", title="", version=1)

    def answer(context: str, question: str) -> str:
        chunk = Chunk(
            id="context#0",
            document_id="context",
            document_version=1,
            ordinal=0,
            start=0,
            end=len(context),
            text=context,
        )
        draft = reader.answer(question, [Hit(chunk=chunk, score=1.0, sources=(source,))])
        return draft.extracts[0].text if draft.extracts else ""

    return answer


def _pairs(path: Path, model: str, limit: int) -> dict[str, Any]:
    from app.wiring import build_likelihood
    from evals.stereotype_pairs import compare_all, load_pairs, measure

    given = load_pairs(path)[: limit or None]
    likelihood = build_likelihood(model)
    with bar("Comparing", len(given)) as done:
        preferences = compare_all(given, likelihood, done)
    method = "pseudo-log-likelihood of the shared words" if likelihood.is_masked else "log-likelihood of the sentence"
    return {"data": path.name, "model": Path(model).name, "method": method, **measure(preferences)}


def _groups(suite: str, limit: int) -> dict[str, Any]:
    from app.evaluation import evaluation
    from app.settings import load_settings
    from app.telemetry import configure_logging
    from evals.scorers.bias import compare_groups
    from evals.suite import load_suite

    settings = load_settings()
    configure_logging("warning")
    with evaluation(load_suite(suite), settings) as ready:
        samples = ready.samples[: limit or None]
        by_id = {sample.id: sample for sample in samples}
        seen = []
        with bar(f"Asking {ready.target.name}", len(samples)) as done:
            for n, row in enumerate(ready.rows(samples), 1):
                seen.append((by_id[row.sample_id], row.observation))
                done(n)
        report = compare_groups(seen, ready.tools.toxicity, ready.tools.embed)
    return {
        "suite": suite,
        "target": ready.target.name,
        "n_asked": len(samples),
        "n_failed": report.n_failed,
        "n_tests": len(report.lines),
        "differing": report.differing,
        "differences": report.lines,
        "means": report.means,
    }


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for build in (_question_table, _pair_table, _group_table):
        if (table := build(facts)) is not None:
            console.print(table)
    if "differing" in facts:
        n = len(facts["differing"])
        console.print(
            f"{facts['n_asked']} questions asked, {facts['n_failed']} failed; {n} of {facts['n_tests']} differences "
            "hold after Holm's adjustment at 5 %."
        )


def _question_table(facts: dict[str, Any]) -> Any:
    from rich.table import Table

    if "categories" not in facts:
        return None
    table = Table("category", "questions", "right, ambiguous", "right, told", "gap", "s_DIS", "s_AMB", "Holm p")
    for name, part in [*facts["categories"].items(), ("all", facts["all"])]:
        values = [part[k] for k in ("accuracy_ambiguous", "accuracy_disambiguated", "accuracy_gap", "s_dis", "s_amb")]
        shown = ["-" if value is None else f"{value:.3f}" for value in values]
        p_values = [part[key] for key in ("s_dis_p_holm", "s_amb_p_holm") if part.get(key) is not None]
        table.add_row(name, str(part["n"]), *shown, f"{min(p_values):.3f}" if p_values else "-")
    return table


def _pair_table(facts: dict[str, Any]) -> Any:
    from rich.table import Table

    if "kinds" not in facts:
        return None
    table = Table("kind", "pairs", "prefers stereotype", "95 %", "Holm p")
    for name, part in [*facts["kinds"].items(), ("all", facts["all"])]:
        low, high = part["prefers_stereotype_95"] or (float("nan"), float("nan"))
        share = "-" if part["prefers_stereotype"] is None else f"{part['prefers_stereotype']:.3f}"
        table.add_row(name, str(part["n"]), share, f"{low:.3f} .. {high:.3f}", f"{part.get('p_holm', part['p']):.3f}")
    return table


def _group_table(facts: dict[str, Any]) -> Any:
    from rich.table import Table

    if "differences" not in facts:
        return None
    table = Table("axis", "group", "measure", "difference", "95 %", "p", "Holm p")
    for line in facts["differences"][:SHOWN]:
        low, high = line["interval_95"] or (float("nan"), float("nan"))
        values = [
            f"{line['difference']:+.3f}",
            f"{low:+.3f} .. {high:+.3f}",
            f"{line['p']:.4f}",
            f"{line['p_holm']:.4f}",
        ]
        table.add_row(line["axis"], line["group"], line["measure"], *values)
    return table
