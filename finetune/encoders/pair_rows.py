"""Rows of reranker and embedder: a query, what answers it, and perhaps what does not. Pure functions over published data sets."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from data.sentences import sentence_spans
from finetune.encoder_recipes import EncoderSource
from finetune.encoders.built_rows import BuiltRow, Files, Format, only, text_in, usable
from finetune.encoders.sentence_corpus import group_of, plain, read_corpus
from finetune.examples import Dropped
from finetune.rows import Row, UnusableRow

WORD = re.compile(r"\w+")
OWN_NEGATIVES = 2
"""Wrong sentences of the right paragraph in a row; the rest is mined elsewhere."""


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


def answer_sentence_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """SQuAD questions with the sentence that holds the answer; wrong are the sentences of its paragraph most like the question."""

    def build(row: Row) -> BuiltRow:
        question, context = text_in(row, "question").strip(), text_in(row, "context")
        starts = [answer["answer_start"] for answer in row.fields.get("answers") or ()]
        spans = list(sentence_spans(context))
        held = [sum(start <= at < end for at in starts) for start, end in spans]
        if not any(held):
            raise UnusableRow("no_answer", "no answer lies in a sentence of the context")
        start, end = spans[held.index(max(held))]
        right = context[start:end]
        others = [context[start:end] for (start, end), n in zip(spans, held, strict=True) if not n]
        near = sorted(others, key=lambda text: -_shared(question, text))[:OWN_NEGATIVES]
        return _pair(row.where, question, right, near, (f"article:{row.fields.get('title')}",))

    for rows in files.values():
        yield from usable([row for row in rows if not row.fields.get("is_impossible")], build)


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
    "squad_sentences": Format(answer_sentence_rows, ("v1.1.jsonl.gz",)),
    "squad_paragraphs": Format(paragraph_rows, ("v1.1.jsonl.gz", "v2.0.jsonl.gz")),
    "trecqa": Format(trecqa_rows),
}


def _shared(question: str, text: str) -> float:
    """The share of the question's words that a text holds, the longer words for more."""
    words, held = set(WORD.findall(question.casefold())), set(WORD.findall(text.casefold()))
    return sum(len(word) for word in words & held) / max(1, sum(map(len, words)))


def _pair(where: str, query: str, positive: str, negatives: list[Any], groups: tuple[str, ...]) -> BuiltRow:
    fields = {"query": query, "positive": positive, "negatives": tuple(negatives)}
    return BuiltRow(where, fields, query, groups)
