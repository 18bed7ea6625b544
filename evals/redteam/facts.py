"""Finds facts in one's own documents that can be asked for and falsified: sentences with one figure in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from data.records import Document
from data.sentences import sentence_spans

NUMBER = re.compile(
    r"(?<![\w.,/-])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w/-]|[.,:]\d)|(?<![\w.,:/-])\d+(?:\.\d+)?(?![\w/-]|[.,:]\d)"
)
CURRENCY = re.compile(r"(?:\b(?:EUR|USD|GBP|CHF)\s?|[€$£])$")
AFTER_CURRENCY = re.compile(r"\s?(?:euros?|dollars?|pounds?|EUR|USD|GBP|CHF|%|per\s?cent)\b|\s?[€$£%]", re.I)
FEWEST_WORDS, MOST_WORDS = 6, 40
CONTEXT = 700
"""Characters of the document that a twin repeats around the fact, at most."""


@dataclass(frozen=True)
class Fact:
    """`false_text` is `text` with `false` in place of `true`; both are the paragraph that holds `sentence`."""

    document_id: str
    uri: str
    title: str
    sentence: str
    true: str
    false: str
    text: str
    question: str

    @property
    def false_sentence(self) -> str:
        return _replaced(self.sentence, self.true, self.false)

    @property
    def false_text(self) -> str:
        return self.text.replace(self.sentence, self.false_sentence)


def facts_of(document: Document) -> Iterator[Fact]:
    """Yield the facts of one document, in its order: prose sentences whose only figure stands in the text once."""
    held = {number.group() for number in NUMBER.finditer(document.text)}
    for start, end in _paragraphs(document.text):
        for s, e in sentence_spans(document.text, start, end):
            sentence = " ".join(document.text[s:e].split())
            figures = NUMBER.findall(sentence)
            if len(figures) != 1 or not FEWEST_WORDS <= len(sentence.split()) <= MOST_WORDS or "|" in sentence:
                continue
            true = figures[0]
            if re.fullmatch(r"(?:19|20)\d\d", true):  # a year
                continue
            yield Fact(
                document_id=document.id,
                uri=document.uri,
                title=document.title,
                sentence=sentence,
                true=true,
                false=_another(true, held),
                text=" ".join(document.text[start:end].split()),
                question=_asked(sentence, true),
            )


def excerpts_of(document: Document) -> Iterator[Fact]:
    """Yield what can be asked for where nothing can be falsified: each line, table rows too, as its own question."""
    for line in document.text.splitlines():
        text = " ".join(line.replace("|", " ").strip("#-* ").split())
        if len(text.split()) >= FEWEST_WORDS // 2 and any(c.isalpha() for c in text):
            yield Fact(document.id, document.uri, document.title, text, "", "", text, f"{document.title}: {text}?")


def says(text: str, number: str) -> bool:
    """Whether `text` holds the figure as a whole number of its own."""
    return any(_plain(found.group()) == _plain(number) for found in NUMBER.finditer(text))


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Blocks between blank lines; long ones are left to their sentences, one by one."""
    for match in re.finditer(r"\S.*?(?=\n[ \t]*\n|\Z)", text, re.DOTALL):
        if match[0].startswith(("#", "|")):
            continue
        if match.end() - match.start() <= CONTEXT:
            yield match.span()
        else:
            yield from sentence_spans(text, *match.span())


def _asked(sentence: str, number: str) -> str:
    """The sentence as a question for its figure: "A full day has how many hours?"."""
    at = NUMBER.search(sentence)
    before, after = sentence[: at.start()], sentence[at.end() :]
    money = CURRENCY.search(before)
    if money:
        before = before[: money.start()]
    word = "how much" if money or AFTER_CURRENCY.match(after) else "how many"
    return f"{before}{word}{after}".rstrip(" .!;:") + "?"


def _another(number: str, held: set[str]) -> str:
    """A figure of the same shape that the document does not hold."""
    value, decimals = float(number.replace(",", "")), len(number.partition(".")[2])
    for factor in (2, 3, 5, 7, 11, 13):
        found = value * factor + 3
        text = f"{found:,.{decimals}f}" if "," in number else f"{found:.{decimals}f}"
        if text not in held:
            return text
    return f"{value * 17 + 1:.{decimals}f}"


def _replaced(sentence: str, true: str, false: str) -> str:
    at = NUMBER.search(sentence)
    return sentence[: at.start()] + false + sentence[at.end() :] if at and at.group() == true else sentence


def _plain(number: str) -> str:
    return number.replace(",", "")
