"""Rows of reranker and embedder: a query, what answers it, and perhaps what does not. Pure functions over published data sets."""

from collections.abc import Iterator, Mapping
from typing import Any

from finetune.encoder_recipes import EncoderSource
from finetune.encoders.built_rows import BuiltRow, Files, Format, only, text_in, usable
from finetune.encoders.sentence_corpus import group_of, plain, read_corpus
from finetune.examples import Dropped
from finetune.rows import Row, UnusableRow


def own_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Rows with `query`, `positive`, perhaps `negatives` (a list) and `group`."""

    def build(row: Row) -> BuiltRow:
        negatives = row.fields.get("negatives") or []
        if not isinstance(negatives, list) or not all(isinstance(text, str) for text in negatives):
            raise UnusableRow("not_a_list", "`negatives` must be a list of texts")
        positive = text_in(row, "positive")
        group = f"given:{row.fields.get('group') or positive}"
        return _pair(row.where, text_in(row, "query"), positive, negatives, (group,))

    yield from usable(only(files), build)


def sentence_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Questions with the sentence that answers each (BEIR folder whose corpus is in the order of its documents)."""
    corpus = read_corpus(files)
    for pair in corpus.pairs:
        groups = group_of(corpus.places[pair.sentence_id])
        yield _pair(pair.where, plain(pair.question), plain(corpus.texts[pair.sentence_id]), [], groups)


def paragraph_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """SQuAD questions with the paragraph that answers each; the article is the group."""
    seen: set[str] = set()

    def build(row: Row) -> BuiltRow:
        groups = (f"article:{row.fields.get('title')}",)
        return _pair(row.where, text_in(row, "question").strip(), text_in(row, "context"), [], groups)

    for rows in files.values():
        answered = [row for row in rows if not row.fields.get("is_impossible") and row.fields.get("id") not in seen]
        seen |= {str(row.fields.get("id")) for row in answered}
        yield from usable(answered, build)


def trecqa_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Questions with sentences that people judged; one row per right sentence, with the wrong ones. The test part is left out."""
    by_question: dict[str, list[Row]] = {}
    for row in only(files):
        if row.fields.get("split") != "test":
            by_question.setdefault(text_in(row, "question"), []).append(row)
    for question, rows in by_question.items():
        wrong = [plain(text_in(row, "sentence")) for row in rows if not int(row.fields["label"])]
        for row in rows:
            if int(row.fields["label"]):
                yield _pair(row.where, plain(question), plain(text_in(row, "sentence")), wrong, (f"trecqa:{question}",))


BEIR = ("corpus.jsonl.gz", "queries.jsonl.gz", "qrels.tsv")
FORMATS: Mapping[str, Format] = {
    "rows": Format(own_rows),
    "question_sentence": Format(sentence_rows, BEIR),
    "squad_paragraphs": Format(paragraph_rows, ("v1.1.jsonl.gz", "v2.0.jsonl.gz")),
    "trecqa": Format(trecqa_rows),
}


def _pair(where: str, query: str, positive: str, negatives: list[Any], groups: tuple[str, ...]) -> BuiltRow:
    fields = {"query": query, "positive": positive, "negatives": tuple(negatives)}
    return BuiltRow(where, fields, query, groups)
