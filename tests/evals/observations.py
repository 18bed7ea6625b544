"""Builds what a target could have given: hits with texts, sentences that quote them. Imported by tests."""

import hashlib

from data.records import Answer, Chunk, Citation, Hit, Observation, Sentence, SourceRef


def hit(text: str, uri: str = "a.md", identity: str = "") -> Hit:
    document = identity or uri
    chunk = Chunk(
        id=f"{document}#0", document_id=document, document_version=1, ordinal=0, start=0, end=len(text), text=text
    )
    return Hit(chunk=chunk, score=1.0, sources=(SourceRef(document_id=document, uri=uri, title=uri, version=1),))


def citing(found: Hit, quote: str) -> Citation:
    start = found.chunk.text.index(quote)
    return Citation(
        document_id=found.chunk.document_id,
        document_version=1,
        chunk_id=found.chunk.id,
        start=start,
        end=start + len(quote),
        quote=quote,
        quote_sha256=hashlib.sha256(quote.encode()).hexdigest(),
        uri=found.sources[0].uri,
    )


def answered(*sentences: str | tuple[str, list[Citation]], hits: tuple[Hit, ...] = ()) -> Observation:
    """An answer of sentences, each alone or with its citations."""
    told = [(s, []) if isinstance(s, str) else s for s in sentences]
    parts = tuple(Sentence(text=text, citations=tuple(citations)) for text, citations in told)
    return Observation(answer=Answer(text=" ".join(text for text, _ in told), sentences=parts), hits=hits)


def abstained(hits: tuple[Hit, ...] = ()) -> Observation:
    return Observation(answer=Answer(text="I don't know.", sentences=(), abstained=True), hits=hits)
