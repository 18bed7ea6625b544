"""assay eval reader --data v2.0.jsonl.gz --json"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.progress import bar

if TYPE_CHECKING:
    from app.settings import Settings
    from evals.reading import Question, Read, Retrieve

TIMED = 100


def reader(
    data: Annotated[
        Path, typer.Option(help="Rows with question, context, answers, title, is_impossible (SQuAD); .jsonl[.gz].")
    ],
    questions: Annotated[int, typer.Option(min=0, help="Ask only so many, drawn with --seed; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of that draw.")] = 0,
    passages: Annotated[
        bool, typer.Option(help="Also tell the right passage from a retrieved wrong one; indexes the contexts once.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Measure F1 and exact match when it must answer and with its own threshold, AUROC of passages, questions a second.

    The sentence reader, which needs no adapter, is measured beside it.
    """
    from app.settings import load_settings
    from app.telemetry import configure_logging
    from evals.draw import drawn
    from evals.reading import load_questions

    settings = load_settings()
    configure_logging("warning")
    asked = load_questions(data)
    contexts = list(dict.fromkeys(question.context for question in asked))
    asked = drawn(asked, questions, seed)
    facts: dict[str, Any] = {
        "data": data.name,
        "n_questions": len(asked),
        "n_answerable": sum(bool(question.answers) for question in asked),
        "n_contexts": len(contexts),
    }
    if passages:
        with _retriever(contexts) as retrieve:
            facts |= _measured(settings, asked, retrieve)
    else:
        facts |= _measured(settings, asked, None)
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _measured(settings: "Settings", asked: "list[Question]", retrieve: "Retrieve | None") -> dict[str, Any]:
    from app.head_baselines import sentence_reader
    from app.wiring import build_encoder, build_heads
    from serving.local.reader import ExtractiveReader

    heads = build_heads(settings)
    encoder = build_encoder(settings, settings.encoder.model)
    everything = settings.reader.model_copy(update={"threshold": 0.0})
    sentences = sentence_reader(ExtractiveReader(lambda texts, kind: encoder.embed(texts, kind=kind), everything))
    facts: dict[str, Any] = {"adapter": None}
    if (head := heads.reader) is not None:
        facts["adapter"] = head.id
        spans: Read = lambda pairs: [(span.text, span.score) for span in head.read_pairs(pairs)]  # noqa: E731
        facts["reader"] = _one("Reading", asked, spans, head.threshold, retrieve)
    facts["baseline"] = {"what": "the best sentence by cosine and rare words (docs/decisions/0005)"} | _one(
        "Baseline", asked, sentences, settings.reader.threshold, retrieve
    )
    heads.close()
    return facts


def _one(
    label: str, asked: "list[Question]", read: "Read", threshold: float, retrieve: "Retrieve | None"
) -> dict[str, Any]:
    from evals.rates import measured_rates
    from evals.reading import measure, passage_auroc, read_all

    with bar(label, len(asked)) as done:
        found = read_all(asked, read, done)
    facts = measure(asked, found, threshold)
    if retrieve is not None:
        with bar(f"{label}, wrong passages", len(asked)) as done:
            facts |= passage_auroc(asked, found, read, retrieve, done)
    facts["questions_a_second"] = measured_rates(read, [(q.question, q.context) for q in asked[:TIMED]])
    return facts


def _retriever(contexts: list[str]) -> Any:
    """The product's hybrid search over the contexts, as a context manager."""
    from contextlib import contextmanager

    from app.judged_store import judged_store, search_of
    from data.records import SearchMode
    from evals.retrieval import CorpusDocument, JudgedCollection

    documents = tuple(CorpusDocument(str(n), "", text) for n, text in enumerate(contexts))

    @contextmanager
    def opened():
        collection = JudgedCollection("contexts", documents, {}, {})
        with bar("Indexing", len(documents)) as stored, judged_store(collection, stored) as assay:
            search = search_of(assay, SearchMode.HYBRID)
            yield lambda question, k: [contexts[int(found)] for found in search(question, k)]

    return opened()


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    told = facts["adapter"] or "no reader adapter ships: only the baseline was measured"
    console.print(f"{facts['data']}: {facts['n_questions']} questions, {facts['n_answerable']} answerable; {told}")
    names = ("f1_answerable", "exact_answerable", "f1_overall", "exact_overall", "auroc_answerable", "auroc_passage")
    table = Table("", *(name.replace("_", " ") for name in names), "questions/s a core")
    for part in ("reader", "baseline"):
        if part in facts:
            cells = [_cell(facts[part].get(name)) for name in names]
            table.add_row(part, *cells, str(facts[part]["questions_a_second"].get("per_core_second", "-")))
    console.print(table)


def _cell(measured: dict[str, Any] | None) -> str:
    if not measured:
        return "-"
    low, high = measured["interval_95"] or ("-", "-")
    return f"{measured['value']} ({low} .. {high})"
