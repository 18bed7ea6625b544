"""Rows of grounding made of SQuAD, whose licence allows it and which knows no claims: its questions said as statements, its sentences edited.

What is made is right or wrong by how it was made; some of it reads badly. The article is the group.
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from data.sentences import sentence_spans
from finetune.encoder_recipes import EncoderSource
from finetune.encoders.built_rows import BuiltRow, Files, Format
from finetune.encoders.grounding_rows import FORMATS, SUPPORTED, UNSUPPORTED
from finetune.encoders.question_edits import unanswerable_question, unsupported_sentence
from finetune.encoders.reader_rows import squad_rows
from finetune.encoders.statements import statement
from finetune.examples import Dropped

SQUAD = ("v1.1.jsonl.gz", "v2.0.jsonl.gz")
N_SENTENCES, LEAST_WORDS = 3, 8
"""Sentences of a paragraph that are edited; words that are left of a shortened one."""
WRONG = (0.45, 0.35, 0.2)
"""How often a false statement has another answer, another question, another premise."""


def statement_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Questions of SQuAD said as statements: with their answer, and with something wrong about them. The article is the group.

    Wrong is, by lot, the answer (another one of the paragraph), the question (edited), or the premise (other sentences of the article).
    """
    asked: dict[str, list[BuiltRow]] = defaultdict(list)
    for row in squad_rows(files, source):
        if isinstance(row, BuiltRow) and row.fields["spans"]:
            asked[row.groups[0]].append(row)
    for rows in asked.values():
        for row in rows:
            yield from _statements(row, rows)


def sentence_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Sentences of SQuAD's paragraphs: shortened to what the paragraph still says, and the same edited so that it does not.

    The article is the group.
    """
    paragraphs: dict[str, dict[str, BuiltRow]] = defaultdict(dict)
    for row in squad_rows(files, source):
        if isinstance(row, BuiltRow):
            paragraphs[row.groups[0]].setdefault(row.fields["context"], row)
    for article in paragraphs.values():
        for context, row in article.items():
            rng = random.Random(context)
            spans = [span for span in sentence_spans(context) if context[span[1] - 1] == "."]
            others = sorted(article.keys() - {context})
            for start, end in rng.sample(spans, min(N_SENTENCES, len(spans))):
                said = shortened(context[start:end])
                edited = unsupported_sentence(said, context, others, rng)
                if edited is not None and edited != said:
                    premise = _around(context, start, rng)
                    yield _made(row, premise, said, SUPPORTED)
                    yield _made(row, premise, edited, UNSUPPORTED)


def shortened(sentence: str) -> str:
    """Without brackets, without what a comma hangs on at its end, without what stands before its first comma."""
    text = re.sub(r"\s*\([^()]*\)", "", sentence)
    for pattern in (r",[^,]*\.$", r"^[^,]*, (?=\w+ )"):
        shorter = re.sub(pattern, "." if pattern.endswith("$") else "", text)
        if len(shorter.split()) >= LEAST_WORDS:
            text = shorter
    return text[:1].upper() + text[1:]


def _statements(row: BuiltRow, article: Sequence[BuiltRow]) -> Iterator[BuiltRow]:
    rng = random.Random(row.key)
    context, question, (start, end) = row.fields["context"], row.fields["question"], row.fields["spans"][0]
    answer = context[start:end]
    said = statement(question, answer)
    if said is None:
        return
    here = _around(context, start, rng)
    yield _made(row, here, said, SUPPORTED)
    premise, other = here, None
    match rng.choices(("answer", "question", "premise"), WRONG)[0]:
        case "answer":
            others = sorted({o for r in article if r.fields["context"] == context and (o := _answer(r))})
            others = [o for o in others if o.casefold() not in question.casefold() and not _overlap(o, answer)]
            alike = [o for o in others if _looks(o) == _looks(answer)] or others
            other = statement(question, rng.choice(alike)) if alike else None
        case "question":
            texts = sorted({r.fields["context"] for r in article} - {context})
            edited = unanswerable_question(question, context, (start, end), texts, rng)
            other = statement(edited, answer) if edited else None
        case "premise":
            places = [(r.fields["context"], r.fields["spans"][0][0]) for r in article]
            texts = [_around(text, at, rng) for text, at in rng.sample(places, min(8, len(places)))]
            texts = [text for text in texts if answer not in text]
            premise, other = (texts[0], said) if texts else (here, None)
    if other is not None and other != said:
        yield _made(row, premise, other, UNSUPPORTED)


def _made(row: BuiltRow, premise: str, hypothesis: str, label: str) -> BuiltRow:
    fields = {"premise": premise, "hypothesis": hypothesis, "label": label}
    return BuiltRow(row.where, fields, f"{hypothesis}\n{premise}", row.groups)


def _around(context: str, at: int, rng: random.Random) -> str:
    """The sentence at a place, with up to two before and two after it."""
    spans = list(sentence_spans(context))
    i = next((i for i, (_, end) in enumerate(spans) if at < end), len(spans) - 1)
    first, last = max(0, i - rng.randint(0, 2)), min(len(spans) - 1, i + rng.randint(0, 2))
    return context[spans[first][0] : spans[last][1]]


def _answer(row: BuiltRow) -> str:
    start, end = row.fields["spans"][0]
    return str(row.fields["context"][start:end])


def _overlap(a: str, b: str) -> bool:
    return a.casefold() in b.casefold() or b.casefold() in a.casefold()


def _looks(text: str) -> str:
    return "number" if any(c.isdigit() for c in text) else "name" if text[:1].isupper() else "words"


GROUNDING_FORMATS: Mapping[str, Format] = {
    **FORMATS,
    "squad_statements": Format(statement_rows, SQUAD),
    "squad_sentences": Format(sentence_rows, SQUAD),
}
"""All that grounding reads."""
