"""Citations: made from exact offsets, checked against the stored text, and read out of what a model wrote.

A citation whose quote is not in the document at those offsets cannot leave the server, whatever the model wrote.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

from data.errors import NotFound
from data.records import Citation, Hit, Sentence, Support
from data.sentences import sentence_spans
from serving.local.quotable import units

TextOf = Callable[[str], str]
_NUMBERS = r"\^?\d{1,4}(?:\s*[,;–-]\s*\^?\d{1,4})*"
MARKER = re.compile(
    rf"\s*(?:\[({_NUMBERS})\](?:\([^()]*\))?|【({_NUMBERS})[^】]*】|\((?:sources?|quellen?)\s+({_NUMBERS})\))", re.I
)
"""`[1]`, `[2, 4-6]`, `【3†source】`, `(source 2)`; `[1](url)` is a marker too, and its link is not followed."""
GLUED_MARKER = re.compile(r"(?<=[.!?…])(?=\[\^?\d|【\d)")
BREAK = re.compile(r"\n(?:[ \t]*(?:[-*+•]|#{1,6}|\d{1,3}[.)])[ \t]+|(?=[ \t]*\n))")
"""Where a line begins a list item or a heading, and blank lines: sentences never run over these."""
LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
TAG = re.compile(r"<[A-Za-z/!?][^<>]*>")
URL = re.compile(
    r"\b(?:[a-z][a-z0-9+.-]*://|(?:javascript|vbscript|mailto):|data:[a-z]+/|www\.)"
    r"(?:[^\s\[\]<>()\"]*[^\s\[\]<>()\".,;:!?])?",
    re.I,
)
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
UNKNOWN = re.compile(r"^\W*i (?:don.t|do not) know\W*$", re.I)
LONGEST_RANGE = 20


class Grounder(Protocol):
    """Says how strongly a quote supports a sentence. `id` goes into receipts."""

    id: str
    threshold: float

    def support(self, sentence: str, quotes: Sequence[str]) -> list[float]:
        """One value from 0 to 1 per quote."""
        ...


@dataclass(frozen=True)
class Written:
    """One sentence a model wrote, without its markers, and the source numbers it cites (from 1)."""

    text: str
    sources: tuple[int, ...] = ()


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
    """Whether the document holds the quote at the offsets and the hash is the quote's. A document that is gone holds nothing."""
    if not citation.quote.strip() or not 0 <= citation.start < citation.end:
        return False
    if citation.quote_sha256 != hashlib.sha256(citation.quote.encode()).hexdigest():
        return False
    try:
        return text_of(citation.document_id)[citation.start : citation.end] == citation.quote
    except NotFound:
        return False


def written_sentences(text: str) -> list[Written]:
    """Split a model's text into sentences with the numbers they cite; links, pictures and markup are taken out."""
    return list(sentences_of_stream([text]))


def sentences_of_stream(pieces: Iterable[str]) -> Iterator[Written]:
    """Yield sentences as soon as they are certain; any cut of a text into pieces gives the same ones.

    A sentence is certain when the next one has begun with a word: markers after a full stop belong to the one before it.
    """
    pending, held = "\n", None  # `held` is complete, but for markers that may follow it
    for piece in pieces:
        pending = GLUED_MARKER.sub(" ", pending + piece)
        *complete, growing = list(_spans(pending)) or [(0, 0)]
        for start, end in complete:
            held, done = _next(held, pending[start:end])
            yield from done
        if complete:
            pending = pending[complete[-1][1] :]
            growing = (growing[0] - complete[-1][1], growing[1])
        leading, rest = _leading_markers(pending[growing[0] :])
        if held is not None and _begins_with_word(rest):
            yield _citing(held, leading)
            held = None
            pending = rest if leading else pending
    for start, end in _spans(pending):
        held, done = _next(held, pending[start:end])
        yield from done
    if held is not None:
        yield held


def ground(written: Written, hits: Sequence[Hit], grounder: Grounder, text_of: TextOf) -> tuple[Sentence, int]:
    """Give a written sentence its checked citations, and count the markers that pointed to nothing that supports it.

    Each cited chunk is narrowed to its best supporting stretch. Sources that support only together are kept together.
    """
    cited = [_best_span(written.text, hits[n - 1], grounder) for n in written.sources if 1 <= n <= len(hits)]
    true = [citation for citation in cited if citation is not None and is_true(citation, text_of)]
    kept = [c for c in true if c.support >= grounder.threshold] or _joint(written.text, true, grounder)
    support = Support.SUPPORTED if kept else Support.UNSUPPORTED
    return Sentence(text=written.text, citations=tuple(kept), support=support), len(written.sources) - len(kept)


def _joint(sentence: str, citations: list[Citation], grounder: Grounder) -> list[Citation]:
    """The citations that support the sentence when read one after the other; none when even that is not enough."""
    part = [c for c in citations if c.support]
    if len(part) < 2 or grounder.support(sentence, ["\n".join(c.quote for c in part)])[0] < grounder.threshold:
        return []
    return part


def _best_span(sentence: str, hit: Hit, grounder: Grounder) -> Citation | None:
    """The unit of the chunk that supports the sentence best; two neighbours when no single one is enough."""
    single = [u for u in units(hit.chunk) if not u.is_title]
    pairs = [replace(a, end=b.end, said=f"{a.said}\n{b.said}") for a, b in pairwise(single)]
    best: Citation | None = None
    for candidates in (single, pairs):
        if best is not None and best.support >= grounder.threshold:
            break
        scores = grounder.support(sentence, [u.said for u in candidates])
        for unit, score in zip(candidates, scores, strict=True):
            if best is None or score > best.support:
                at = hit.chunk.start
                best = cite(hit, at + unit.start, at + unit.end, round(score, 3))
    return best


def _spans(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for match in BREAK.finditer(text):
        yield from sentence_spans(text, at, match.start())
        at = match.end()
    yield from sentence_spans(text, at)


def _next(held: Written | None, raw: str) -> tuple[Written | None, list[Written]]:
    """Take in one more span: what is held after it, and what became complete by it."""
    leading, rest = _leading_markers(raw)
    if held is not None:
        held, leading = _citing(held, leading), ()
    words, sources = _plain(rest)
    if not words and not _begins_with_word(rest):
        return held, []
    done = [] if held is None else [held]
    return (_citing(Written(words, leading), sources) if words else None), done


def _leading_markers(text: str) -> tuple[tuple[int, ...], str]:
    at = 0
    while match := MARKER.match(text, at):
        at = match.end()
    return _sources(text[:at]), text[at:]


def _begins_with_word(text: str) -> bool:
    return re.match(r"\s*\w", text) is not None


def _citing(written: Written, sources: tuple[int, ...]) -> Written:
    return replace(written, sources=tuple(dict.fromkeys((*written.sources, *sources))))


def _plain(text: str) -> tuple[str, tuple[int, ...]]:
    """The words without markers, links and markup, and the markers' numbers. Repeated until taking out makes nothing new."""
    sources: tuple[int, ...] = ()
    before = None
    while text != before:
        before = text
        text = CONTROL.sub("", text)
        sources += _sources(text)
        text = URL.sub("", TAG.sub("", LINK.sub(r"\1", MARKER.sub("", text))))
    text = re.sub(r"<(?=[A-Za-z/!?])", "< ", text.replace("](", "] ("))  # what is left of cut markup stays plain text
    words = " ".join(text.replace("**", "").split())
    return (words if re.search(r"\w", words) else ""), sources


def _sources(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for match in MARKER.finditer(text):
        for part in re.split(r"[,;]", next(g for g in match.groups() if g)):
            ends = sorted(int(n) for n in re.findall(r"\d+", part))
            found += range(ends[0], min(ends[-1], ends[0] + LONGEST_RANGE) + 1)
    return tuple(dict.fromkeys(found))
