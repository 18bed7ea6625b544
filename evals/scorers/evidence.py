"""When a piece of text is the evidence that a sample asks for: the right document, and the quoted words in it."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from data.records import Citation, Hit, Observation

WORD = re.compile(r"\w+")
HELD = 0.5
"""Share of a quote's words that must stand together in a text that was cut in the middle of the quote."""


def words(text: str) -> list[str]:
    return WORD.findall(text.lower())


def is_document(uri: str, wanted: str) -> bool:
    """Whether `uri` names the sample's document: equal, or ending in its whole path."""
    return uri == wanted or uri.endswith("/" + wanted)


def holds(text: str, quote: str) -> bool:
    """Whether one holds the other word for word, or `text` holds a run of at least half of the quote's words."""
    return coverage(text, quote) >= HELD


def coverage(text: str, quote: str) -> float:
    """The share of the quote's words that stand together in `text`; 1 also where the quote holds all of the text."""
    said, wanted = words(text), words(quote)
    if not said or not wanted:
        return 0.0
    if _within(wanted, said) or _within(said, wanted):
        return 1.0
    run = SequenceMatcher(None, said, wanted, autojunk=False).find_longest_match()
    return run.size / len(wanted)


def hit_holds(hit: Hit, evidence: tuple[str, str]) -> bool:
    uri, quote = evidence
    return any(is_document(source.uri, uri) for source in hit.sources) and holds(hit.chunk.text, quote)


def uris_of(citation: Citation, seen: Observation) -> set[str]:
    """Every document that holds the cited text: one text may be stored once and belong to several."""
    same = (hit for hit in seen.hits if hit.chunk.id == citation.chunk_id)
    return {citation.uri} | {source.uri for hit in same for source in hit.sources}


def is_evidence(citation: Citation, evidence: tuple[str, str], seen: Observation) -> bool:
    uri, quote = evidence
    return any(is_document(held, uri) for held in uris_of(citation, seen)) and holds(citation.quote, quote)


def cited(seen: Observation) -> list[Citation]:
    """The citations of the answer, each once."""
    sentences = seen.answer.sentences if seen.answer else ()
    found = {(c.document_id, c.start, c.end, c.quote): c for sentence in sentences for c in sentence.citations}
    return list(found.values())


def _within(part: list[str], whole: list[str]) -> bool:
    joined = f" {' '.join(whole)} "
    return f" {' '.join(part)} " in joined


def share(flags: Iterable[bool]) -> float:
    """The share of true ones; 0 for none at all."""
    given = list(flags)
    return sum(given) / len(given) if given else 0.0
