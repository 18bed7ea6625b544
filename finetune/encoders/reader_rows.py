"""Rows of the reader: a question, a context and the answer's characters in it. Pure functions over published data sets.

`rows` and `squad` have gold spans. `question_sentence` rows know only the sentence that answers: the span lies somewhere in it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data.sentences import sentence_spans
from finetune.encoder_recipes import EncoderSource
from finetune.encoders.built_rows import BuiltRow, Files, Format, only, text_in, usable
from finetune.encoders.sentence_corpus import group_of, plain, read_corpus
from finetune.examples import Dropped
from finetune.rows import Row, UnusableRow

WORD = re.compile(r"\w+")
N_BESIDE = 2
"""Sentences of the corpus put before and after the one that answers, at most."""


@dataclass(frozen=True)
class Given:
    """An answer as published. `start` is where it stands first; elsewhere it may stand as well."""

    text: str
    start: int


def squad_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """SQuAD 1.1 and 2.0 side by side; a question in both counts once. The article is the group."""
    seen: set[str] = set()
    for rows in files.values():
        fresh = [row for row in rows if row.fields.get("id") not in seen]
        seen |= {str(row.fields.get("id")) for row in fresh}
        yield from usable(fresh, question_row)


def own_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Rows with the fields of SQuAD: `question`, `context`, `answers`; `title` or `group` names the document."""
    yield from usable(only(files), question_row)


def question_row(row: Row) -> BuiltRow:
    """One question with its context. Raises: UnusableRow."""
    question, context = text_in(row, "question").strip(), text_in(row, "context")
    given = [] if row.fields.get("is_impossible") else list(_given(row))
    for answer in given:
        if answer.text not in context:
            raise UnusableRow("answer_not_found", "the answer does not stand in the context")
    group = row.fields.get("group") or row.fields.get("title")
    fields = {
        "question": question,
        "context": context,
        "spans": (best_span(question, context, given),) if given else (),
        "answers": tuple(answer.text for answer in given),
    }
    return BuiltRow(row.where, fields, question, (f"article:{group}",) if group else (f"article:{context[:80]}",))


def best_span(question: str, context: str, answers: Sequence[Given]) -> tuple[int, int]:
    """The answer most annotators gave, where it most likely stands.

    Published starts may be those of the first occurrence. The right one overlaps what other annotators marked where only one
    place is possible, else it stands in the sentence that shares most words with the question.
    """
    places = {answer.text: occurrences(context, answer.text) for answer in answers}
    sure = [place for text, found in places.items() if len(found) == 1 for place in found]
    asked = {word.casefold() for word in WORD.findall(question)}
    votes = [answer.text for answer in answers]

    def rank(text: str, place: tuple[int, int]) -> tuple[int, int, int, int]:
        overlaps = sum(place[0] < end and start < place[1] for start, end in sure)
        return votes.count(text), overlaps, _shared(context, place, asked), -place[0]

    return max(((text, place) for text, found in places.items() for place in found), key=lambda pair: rank(*pair))[1]


def occurrences(context: str, text: str) -> list[tuple[int, int]]:
    """Where `text` stands in `context` as whole words; anywhere, if it nowhere does."""
    found = [(m.start(), m.end()) for m in re.finditer(re.escape(text), context)]
    whole = [(s, e) for s, e in found if _is_edge(context, s) and _is_edge(context, e)]
    return whole or found


def sentence_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Questions with the sentence that answers, put among those that follow and precede it in the corpus (BEIR folder)."""
    corpus = read_corpus(files)
    for number, pair in enumerate(corpus.pairs):
        before = number % (N_BESIDE + 1)
        at = corpus.places[pair.sentence_id]
        near = [i for i in range(at - before, at + N_BESIDE + 1) if i in corpus.by_place and abs(i - at) <= N_BESIDE]
        texts = [plain(corpus.by_place[i]) for i in near]
        lengths = [len(text) + 1 for text in texts]
        start = sum(lengths[: near.index(at)])
        fields = {
            "question": plain(pair.question),
            "context": " ".join(texts),
            "spans": ((start, start + lengths[near.index(at)] - 1),),
            "answers": (),
        }
        yield BuiltRow(pair.where, fields, fields["question"], group_of(at), is_weak=True)


FORMATS: Mapping[str, Format] = {
    "rows": Format(own_rows),
    "squad": Format(squad_rows, ("v1.1.jsonl.gz", "v2.0.jsonl.gz")),
    "question_sentence": Format(sentence_rows, ("corpus.jsonl.gz", "queries.jsonl.gz", "qrels.tsv")),
}


def _given(row: Row) -> Iterator[Given]:
    answers: Any = row.fields.get("answers") or []
    if isinstance(answers, dict):  # as the Hugging Face copies have it
        answers = [
            {"text": text, "answer_start": start}
            for text, start in zip(answers.get("text", ()), answers.get("answer_start", ()), strict=False)
        ]
    for answer in answers:
        if not isinstance(answer, dict) or not str(answer.get("text", "")).strip():
            raise UnusableRow("empty_answer", "an answer has no text")
        yield Given(str(answer["text"]), int(answer.get("answer_start", answer.get("start", -1))))


def _is_edge(context: str, at: int) -> bool:
    return at in (0, len(context)) or not (context[at - 1].isalnum() and context[at].isalnum())


def _shared(context: str, place: tuple[int, int], asked: set[str]) -> int:
    for start, end in sentence_spans(context):
        if start <= place[0] < end:
            return len(asked & {word.casefold() for word in WORD.findall(context[start:end])})
    return 0
