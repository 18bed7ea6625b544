"""An answer as a page shows it: its citations numbered, each with the address of the cited words."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from data.records import Answer, Citation, Sentence


@dataclass(frozen=True)
class Cited:
    """A sentence and the numbers (from 1) of the sources it cites."""

    sentence: Sentence
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Shown:
    """Sentences and their sources; a stretch of a document that is cited twice has one number."""

    sentences: tuple[Cited, ...]
    sources: tuple[Citation, ...]


def shown(answer: Answer) -> Shown:
    numbers: dict[tuple[str, int, int], int] = {}
    sources: list[Citation] = []
    sentences = []
    for sentence in answer.sentences:
        for citation in sentence.citations:
            if _place(citation) not in numbers:
                sources.append(citation)
                numbers[_place(citation)] = len(sources)
        sentences.append(Cited(sentence, _distinct(numbers[_place(c)] for c in sentence.citations)))
    return Shown(tuple(sentences), tuple(sources))


def source_link(citation: Citation) -> str:
    """The page of the cited document at the cited words. `static/answer.js` makes the same one."""
    place = {
        "start": citation.start,
        "end": citation.end,
        "version": citation.document_version,
        "quote": citation.quote_sha256,
    }
    return f"/documents/{quote(citation.document_id, safe='')}?{urlencode(place)}#cited"


def _place(citation: Citation) -> tuple[str, int, int]:
    return citation.document_id, citation.start, citation.end


def _distinct(numbers: Iterable[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(numbers))
