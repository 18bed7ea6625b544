"""Cuts a canonical text into the pieces that are embedded and cited: by section, then block, then sentence.

Needs only a function that tells where tokens lie; knows nothing of models, documents or stores.
"""

import hashlib
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data.sentences import sentence_spans
from retrieval.blocks import Block, Kind, blocks, is_delimiter_row, is_item

TokenSpans = Callable[[str], list[tuple[int, int]]]
Span = tuple[int, int]

_CONTEXT_CHARACTERS = 160
"""Room in `embedding_text` for title and headings: about 40 tokens, so that 200 of text fit a 256-token encoder."""
_COLUMNS_CHARACTERS = 120
_TOKEN_CHARACTERS = 40
"""What counts as one token at most: encoders make a single unknown token of a base64 blob of any length."""
_LEAD = -1
"""The block number of a section's headings."""
_WORD = re.compile(r"\S+")


class ChunkingConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int = Field(200, ge=16, le=8000)
    """Tokens in a chunk at most. Title and headings are embedded with it: leave them 50 of the encoder's limit."""
    overlap_tokens: int = Field(40, ge=0)
    """How much of a long paragraph the next chunk repeats: whole sentences, up to this many tokens."""
    min_tokens: int = Field(60, ge=0)
    """Smaller chunks join a neighbour where the two fit `max_tokens`."""

    @property
    def digest(self) -> str:
        """Equal for settings that cut alike; kept with each text, so that a change of settings is noticed."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    @model_validator(mode="after")
    def _ordered(self) -> "ChunkingConfig":
        for name in ("overlap_tokens", "min_tokens"):
            if (value := getattr(self, name)) > self.max_tokens // 2:
                raise ValueError(
                    f"{name} is {value}; at most half of max_tokens ({self.max_tokens // 2}) is allowed. "
                    f"Lower {name} or raise max_tokens."
                )
        return self


@dataclass(frozen=True, slots=True)
class Piece:
    """`text[start:end]` becomes one chunk. `heading_path` runs from the outermost open heading to the innermost."""

    start: int
    end: int
    heading_path: tuple[str, ...] = ()


def split(text: str, token_spans: TokenSpans, config: ChunkingConfig) -> list[Piece]:
    """Cut `text` into pieces in order of their offsets; none for a blank text.

    Every non-blank character lies in a piece, and pieces overlap only inside a long paragraph. A piece has at most
    `max_tokens` tokens, counted where `token_spans` puts them in the whole text. Linear in the length of the text.
    """
    cutter = _Cutter(text, _Ruler(text, token_spans), config)
    pieces = [piece for section in _sections(blocks(text)) for piece in cutter.pieces(section)]
    return cutter.join_small(pieces)


def embedding_text(title: str, heading_path: tuple[str, ...], text: str) -> str:
    """Return what is embedded and indexed for a chunk: a line of title and headings, then the text.

    Headings with which the text itself begins are not repeated, and the line is cut to 160 characters.
    """
    opening = text[: 2 * _CONTEXT_CHARACTERS]
    context = [part for part in dict.fromkeys((title, *heading_path)) if part and part not in opening]
    line = " > ".join(context)
    if len(line) > _CONTEXT_CHARACTERS:
        line = line[:_CONTEXT_CHARACTERS].rsplit(" ", 1)[0]
    return f"{line}\n{text}" if line else text


@dataclass(frozen=True, slots=True)
class _Section:
    """Headings that directly follow one another, and the blocks up to the next heading."""

    path: tuple[str, ...]
    headings: tuple[Block, ...]
    body: tuple[Block, ...]


def _sections(stream: Iterable[Block]) -> Iterator[_Section]:
    open_headings: list[Block] = []
    headings: list[Block] = []
    body: list[Block] = []
    for block in stream:
        if block.kind is not Kind.HEADING:
            body.append(block)
            continue
        if body:
            yield _Section(_path(open_headings), tuple(headings), tuple(body))
            headings, body = [], []
        open_headings = [h for h in open_headings if h.level < block.level] + [block]
        headings.append(block)
    if headings or body:
        yield _Section(_path(open_headings), tuple(headings), tuple(body))


def _path(open_headings: list[Block]) -> tuple[str, ...]:
    return tuple(heading.title for heading in open_headings if heading.title)


class _Ruler:
    """Counts tokens between two offsets in O(log n), having asked for the token spans of the whole text once."""

    def __init__(self, text: str, token_spans: TokenSpans) -> None:
        self.starts: list[int] = []
        reached = 0
        for start, end in token_spans(text):
            if start - reached > _TOKEN_CHARACTERS:
                self._mark_unseen(text, reached, start)
            if end - start <= _TOKEN_CHARACTERS:
                self.starts.append(start)
            else:
                self.starts.extend(range(start, end, _TOKEN_CHARACTERS))
            reached = end
        self._mark_unseen(text, reached, len(text))

    def count(self, start: int, end: int) -> int:
        return bisect_left(self.starts, end) - bisect_left(self.starts, start)

    def at_most(self, start: int, end: int, n_tokens: int) -> int:
        """Return the greatest offset up to `end` with at most `n_tokens` tokens between `start` and it."""
        index = bisect_left(self.starts, start) + n_tokens
        return min(end, self.starts[index]) if index < len(self.starts) else end

    def _mark_unseen(self, text: str, start: int, end: int) -> None:
        """Let characters that the tokenizer drops (control characters, say) count too, or a piece could be endless."""
        n_visible = sum(len(word) for word in text[start:end].split())
        if n_visible > _TOKEN_CHARACTERS:
            self.starts.extend(range(start, end, _TOKEN_CHARACTERS))


@dataclass(frozen=True, slots=True)
class _Atom:
    """A span that is never cut. `block` numbers the block it came from; `columns` names those of a table being cut."""

    start: int
    end: int
    block: int
    may_overlap: bool = False
    columns: str = ""


class _Cutter:
    def __init__(self, text: str, ruler: _Ruler, config: ChunkingConfig) -> None:
        self.text = text
        self.count = ruler.count
        self.ruler = ruler
        self.config = config

    def pieces(self, section: _Section) -> Iterator[Piece]:
        """Pack a section's blocks into pieces, first come first packed; blocks that do not fit whole are cut."""
        packed: list[_Atom] = []
        for atom in self._atoms(section):
            if packed and self.count(packed[0].start, atom.end) > self.config.max_tokens:
                yield self._piece(packed, section.path)
                packed = self._overlap(packed, atom)
            packed.append(atom)
        if packed:
            yield self._piece(packed, section.path)

    def join_small(self, pieces: list[Piece]) -> list[Piece]:
        """Join each piece under `min_tokens` to the one before it, or the one after, where both fit in one."""
        joined: list[Piece] = []
        for piece in pieces:
            if joined and self._should_join(joined[-1], piece):
                joined[-1] = Piece(joined[-1].start, piece.end, self._shared_path(joined[-1], piece))
            else:
                joined.append(piece)
        return joined

    def _should_join(self, before: Piece, after: Piece) -> bool:
        if self.count(before.start, after.end) > self.config.max_tokens:
            return False
        smaller = min(self.count(before.start, before.end), self.count(after.start, after.end))
        return smaller < self.config.min_tokens or self._is_bare_heading(before) or self._is_bare_heading(after)

    def _shared_path(self, before: Piece, after: Piece) -> tuple[str, ...]:
        if self._is_bare_heading(after):
            return before.heading_path
        return _common(before.heading_path, after.heading_path)

    def _is_bare_heading(self, piece: Piece) -> bool:
        return all(block.kind is Kind.HEADING for block in blocks(self.text[piece.start : piece.end]))

    def _piece(self, packed: list[_Atom], path: tuple[str, ...]) -> Piece:
        if packed[-1].block == _LEAD:  # headings only: which of them are open is not yet settled
            path = ()
        elif packed[0].columns:
            path = (*path, packed[0].columns)
        return Piece(packed[0].start, packed[-1].end, path)

    def _overlap(self, packed: list[_Atom], following: _Atom) -> list[_Atom]:
        """Return the last atoms of `packed` that the piece which begins with `following` repeats."""
        repeated: list[_Atom] = []
        if not following.may_overlap:
            return repeated
        for atom in reversed(packed[1:]):
            if (
                atom.block != following.block
                or self.count(atom.start, following.start) > self.config.overlap_tokens
                or self.count(atom.start, following.end) > self.config.max_tokens
            ):
                break
            repeated.insert(0, atom)
        return repeated

    def _atoms(self, section: _Section) -> Iterator[_Atom]:
        lead = self._trimmed(section.headings[0].start, section.headings[-1].end) if section.headings else None
        n_lead = 0
        if lead and self.count(*lead) <= self.config.max_tokens // 2:
            n_lead = self.count(*lead)
            yield _Atom(*lead, _LEAD)
        elif lead:
            yield from (_Atom(*span, _LEAD) for span in self._refined(lead, (_lines, _words)))
        for number, block in enumerate(section.body):
            yield from self._block_atoms(block, number, self.config.max_tokens - n_lead)
            n_lead = 0

    def _block_atoms(self, block: Block, number: int, room: int) -> Iterator[_Atom]:
        """Yield the block as one atom if it has at most `room` tokens, else cut where its kind allows."""
        span = self._trimmed(block.start, block.end)
        if self.count(*span) <= room:
            yield _Atom(*span, block=number)
            return
        may_overlap = block.kind is Kind.PARAGRAPH
        columns, header_end = _columns(self.text, *span) if block.kind is Kind.TABLE else ("", 0)
        for start, end in self._refined(span, _CUTS[block.kind], room):
            yield _Atom(start, end, number, may_overlap, columns=columns if start >= header_end else "")

    def _refined(self, span: Span, cuts: "tuple[Cut, ...]", room: int | None = None) -> Iterator[Span]:
        """Cut `span` by the first of `cuts`, parts still too long by the next; after the last, between tokens."""
        if self.count(*span) <= (self.config.max_tokens if room is None else room):
            yield span
        elif cuts:
            for part in cuts[0](self.text, *span):
                yield from self._refined(part, cuts[1:], room)
        else:
            yield from self._between_tokens(*span)

    def _between_tokens(self, start: int, end: int) -> Iterator[Span]:
        while start < end:
            stop = self.ruler.at_most(start, end, self.config.max_tokens)
            yield start, stop
            start = stop

    def _trimmed(self, start: int, end: int) -> Span:
        stretch = self.text[start:end]
        return start + len(stretch) - len(stretch.lstrip()), end - len(stretch) + len(stretch.rstrip())


Cut = Callable[[str, int, int], Iterable[Span]]


def _lines(text: str, start: int, end: int) -> Iterator[Span]:
    return _groups(text, start, end, lambda line: True)


def _items(text: str, start: int, end: int) -> Iterator[Span]:
    return _groups(text, start, end, is_item)


def _groups(text: str, start: int, end: int, begins: Callable[[str], bool]) -> Iterator[Span]:
    """Yield the spans of runs of lines, each beginning where `begins(line)` says so; without trailing whitespace."""
    opened = at = start
    while at < end:
        newline = text.find("\n", at, end)
        after = end if newline < 0 else newline + 1
        if at > opened and begins(text[at:after]):
            yield from _visible(text, opened, at)
            opened = at
        at = after
    yield from _visible(text, opened, end)


def _visible(text: str, start: int, end: int) -> Iterator[Span]:
    stretch = text[start:end].rstrip()
    if stretch:
        yield start, start + len(stretch)


def _words(text: str, start: int, end: int) -> Iterator[Span]:
    return (match.span() for match in _WORD.finditer(text, start, end))


_CUTS: dict[Kind, tuple[Cut, ...]] = {
    Kind.PARAGRAPH: (sentence_spans, _lines, _words),
    Kind.LIST: (_items, _lines, sentence_spans, _words),
    Kind.TABLE: (_lines, sentence_spans, _words),
    Kind.CODE: (_lines, _words),
}


def _columns(text: str, start: int, end: int) -> tuple[str, int]:
    """Return a table's column names joined by ` | ` and the offset where its rows begin; ("", 0) without a header."""
    header, _, rest = text[start:end].partition("\n")
    delimiter, _, _ = rest.partition("\n")
    if not is_delimiter_row(delimiter):
        return "", 0
    names = [cell.strip() for cell in header.strip().strip("|").split("|")]
    return " | ".join(filter(None, names))[:_COLUMNS_CHARACTERS], start + len(header) + len(delimiter) + 2


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    shared = 0
    while shared < min(len(a), len(b)) and a[shared] == b[shared]:
        shared += 1
    return a[:shared]
