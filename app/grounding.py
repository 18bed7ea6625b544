"""Citations: made from exact offsets, checked against the stored text, and read out of what a model wrote.

A citation whose quote is not in the document at those offsets cannot leave the server, whatever the model wrote.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from data.records import Citation, Hit, Sentence, Support
from data.sentences import sentence_spans

TextOf = Callable[[str], str]
MARKER = re.compile(
    r"\s*(?:\[(\^?\d{1,3}(?:\s*[,;-]\s*\d{1,3})*)\]|【(\d{1,3})[^】]*】|\((?:source|sources|quelle)\s+(\d{1,3}(?:\s*[,;]\s*\d{1,3})*)\))",
    re.I,
)
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
TAG = re.compile(r"</?[A-Za-z][^>]*>")
URL = re.compile(r"\b(?:https?|ftp|javascript|data):\S+", re.I)
UNKNOWN = re.compile(r"^\W*i (?:don.t|do not) know\W*$", re.I)


class Grounder(Protocol):
    """Says how strongly a quote supports a sentence."""

    threshold: float

    def support(self, sentence: str, quotes: Sequence[str]) -> list[float]:
        """One value from 0 to 1 per quote."""
        ...


@dataclass(frozen=True)
class Written:
    """One sentence a model wrote, without its markers, and the source numbers it cites (from 1)."""

    text: str
    sources: tuple[int, ...]


def cite(hit: Hit, start: int, end: int, support: float | None = None) -> Citation:
    """The citation of `document.text[start:end]`, which lies in the hit's chunk."""
    chunk = hit.chunk
    quote = chunk.text[start - chunk.start : end - chunk.start]
    return Citation(
        document_id=chunk.document_id,
        document_version=chunk.document_version,
        chunk_id=chunk.id,
        start=start,
        end=end,
        quote=quote,
        quote_sha256=hashlib.sha256(quote.encode()).hexdigest(),
        title=hit.sources[0].title,
        uri=hit.sources[0].uri,
        support=support,
    )


def is_true(citation: Citation, text_of: TextOf) -> bool:
    """Whether the document holds the quote at the offsets and the hash is the quote's."""
    if not citation.quote or citation.quote_sha256 != hashlib.sha256(citation.quote.encode()).hexdigest():
        return False
    return text_of(citation.document_id)[citation.start : citation.end] == citation.quote


def written_sentences(text: str) -> list[Written]:
    """Split a model's text into sentences with the numbers they cite; links, pictures and markup are taken out."""
    plain = URL.sub("", TAG.sub("", LINK.sub(r"\1", text)))
    out: list[Written] = []
    for start, end in sentence_spans(plain):
        said = plain[start:end]
        leading, said = _leading_markers(said)
        if leading and out:  # "It is so. [2] Next ...": the marker belongs to the sentence before it
            out[-1] = Written(out[-1].text, tuple(dict.fromkeys((*out[-1].sources, *leading))))
        words = " ".join(MARKER.sub("", said).split())
        if re.search(r"\w", words):
            out.append(Written(words, _numbers(said)))
    return out


def sentences_of_stream(pieces: Iterable[str]) -> Iterator[Written]:
    """Yield sentences as soon as the next one has begun, so that markers after a full stop still belong to theirs."""
    pending = ""
    for piece in pieces:
        pending += piece
        spans = list(sentence_spans(pending))
        if len(spans) < 3:
            continue
        cut = spans[-3][1]  # the last two may still grow or gain a marker
        while match := MARKER.match(pending, cut):
            cut = match.end()
        yield from written_sentences(pending[:cut])
        pending = pending[cut:]
    yield from written_sentences(pending)


def _leading_markers(text: str) -> tuple[tuple[int, ...], str]:
    at = 0
    while match := MARKER.match(text, at):
        at = match.end()
    return _numbers(text[:at]), text[at:]


def _numbers(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for match in MARKER.finditer(text):
        for part in re.split(r"[,;]", next(g for g in match.groups() if g).replace("^", "")):
            low, _, high = part.partition("-")
            first, last = int(low), int(high or low)
            found += range(first, min(last, first + 20) + 1)
    return tuple(dict.fromkeys(found))


def ground(written: Written, hits: Sequence[Hit], grounder: Grounder, text_of: TextOf) -> tuple[Sentence, int]:
    """Give a written sentence its checked citations, and count the markers that pointed to nothing.

    Each cited chunk is narrowed to its best supporting sentence. No citation that supports it: `unsupported`.
    """
    dropped, citations = 0, []
    for number in written.sources:
        if not 1 <= number <= len(hits):
            dropped += 1
            continue
        citation = _best_span(written.text, hits[number - 1], grounder)
        if citation is not None and is_true(citation, text_of):
            citations.append(citation)
        else:
            dropped += 1
    supported = any((c.support or 0) >= grounder.threshold for c in citations)
    support = Support.SUPPORTED if supported else Support.UNSUPPORTED
    kept = tuple(c for c in citations if (c.support or 0) >= grounder.threshold) if supported else tuple(citations)
    return Sentence(text=written.text, citations=kept, support=support), dropped + len(citations) - len(kept)


def _best_span(sentence: str, hit: Hit, grounder: Grounder) -> Citation | None:
    spans = list(sentence_spans(hit.chunk.text))
    if not spans:
        return None
    scores = grounder.support(sentence, [hit.chunk.text[s:e] for s, e in spans])
    best = max(range(len(spans)), key=lambda i: scores[i])
    start, end = spans[best]
    return cite(hit, hit.chunk.start + start, hit.chunk.start + end, round(scores[best], 3))
