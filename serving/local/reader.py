"""The embedded answerer: picks the sentences of retrieved chunks that answer the question, or says that none does.

Scores mix meaning (cosine of the sentence with the question), words (share of the question's rare words that the sentence
and its surroundings hold) and the kind of answer asked for. Weights and the threshold are fitted on questions with known
answers: docs/decisions/0005-extractive-reader.md.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import snowballstemmer
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from data.records import Hit
from data.sentences import sentence_spans
from data.words import FUNCTION_WORDS

Embed = Callable[[Sequence[str], str], NDArray[np.float32]]
WORD = re.compile(r"\w+")
ROW_OR_ITEM = re.compile(r"\s*(\||[-*+•]\s|\d{1,3}[.)]\s)")
RULE = re.compile(r"[\s|:\-=]+")
HEADING = re.compile(r"\s*#{1,6}\s")
NUMBER_ASKED = re.compile(
    r"\b(how (many|much|long|often|old|far|high|large)|when|what (year|date|time|percentage|price|amount)|which year)\b",
    re.I,
)
PERSON_ASKED = re.compile(r"\b(who|whom|whose)\b", re.I)
NAME = re.compile(r"(?<!^)(?<![.!?] )\b[A-Z][a-z]+")
DEMOTED = frozenset({"superseded", "outdated", "archived", "obsolete", "withdrawn"})


class ReaderConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    shortlist: int = Field(12, ge=1)
    """Sentences whose meaning is compared; chosen by their words."""
    sentences: int = Field(3, ge=1)
    """Most sentences in one answer."""
    keep_share: float = Field(0.9, gt=0, le=1)
    """A further sentence joins the answer when its score is at least this share of the best one's."""
    weight_meaning: float = 4.0
    """Weight of the cosine between question and sentence."""
    weight_words: float = 3.0
    """Weight of the share of the question's rare words in the sentence, with its heading and chunk at a discount."""
    weight_kind: float = 0.6
    """Added when a number or a name was asked for and the sentence holds one."""
    bias: float = -3.2
    """The log-odds of an answer at zero evidence."""
    threshold: float = Field(0.5, ge=0, le=1)
    """Least probability of being an answer; below it the answer is that we do not know."""
    demotion: float = Field(1.0, ge=0)
    """Taken off sentences of documents whose metadata calls them superseded or archived."""


@dataclass(frozen=True)
class Extract:
    """A sentence of a chunk: `document.text[start:end]`. `score` is the probability that it answers the question."""

    hit: Hit
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True)
class Draft:
    """No extracts means that the answer is unknown; `confidence` is the best score either way."""

    extracts: tuple[Extract, ...]
    confidence: float


@dataclass(frozen=True)
class _Candidate:
    hit: Hit
    start: int
    end: int
    text: str
    words: float
    bonus: float


class ExtractiveReader:
    """`embed(texts, kind)` returns unit rows; it is called twice a question at most."""

    name = "assay-extractive"

    def __init__(self, embed: Embed, config: ReaderConfig | None = None) -> None:
        self._embed = embed
        self.config = config or ReaderConfig()

    def answer(self, question: str, hits: Sequence[Hit]) -> Draft:
        """The sentences that answer `question`, the best first; all of them from `hits`."""
        shortlist = self._shortlist(question, hits)
        if not shortlist:
            return Draft((), 0.0)
        vectors = self._embed([c.text for c in shortlist], "document")
        cosines = vectors @ self._embed([question], "query")[0]
        scored = [self._extract(c, float(cos)) for c, cos in zip(shortlist, cosines, strict=True)]
        scored.sort(key=lambda e: -e.score)
        best = scored[0].score
        if best < self.config.threshold:
            return Draft((), best)
        floor = max(self.config.keep_share * best, self.config.threshold)
        return Draft(_distinct([e for e in scored if e.score >= floor])[: self.config.sentences], best)

    def _extract(self, c: _Candidate, cosine: float) -> Extract:
        config = self.config
        logit = config.bias + config.weight_meaning * cosine + config.weight_words * c.words + c.bonus
        return Extract(c.hit, c.start, c.end, c.text, 1 / (1 + math.exp(-logit)))

    def _shortlist(self, question: str, hits: Sequence[Hit]) -> list[_Candidate]:
        asked = frozenset(stems(question))
        spans = [(hit, start, end, hit.chunk.text[start:end]) for hit in hits for start, end in units(hit.chunk.text)]
        if not asked or not spans:
            return []
        held = [frozenset(stems(text)) for *_, text in spans]
        rarity = {w: math.log(1 + len(held) / (1 + sum(w in h for h in held))) for w in asked}
        total = sum(rarity.values())
        around = {
            id(hit): frozenset(stems(" ".join((hit.sources[0].title, *hit.chunk.heading_path, hit.chunk.text))))
            for hit in hits
        }
        wants_number, wants_person = NUMBER_ASKED.search(question), PERSON_ASKED.search(question)
        out = []
        for (hit, start, end, text), words in zip(spans, held, strict=True):
            inside = sum(rarity[w] for w in asked & words)
            nearby = sum(rarity[w] for w in (asked & around[id(hit)]) - words)
            bonus = 0.0
            if (wants_number and any(ch.isdigit() for ch in text)) or (wants_person and NAME.search(text)):
                bonus = self.config.weight_kind
            if str(hit.metadata.get("status", "")).lower() in DEMOTED:
                bonus -= self.config.demotion
            offset = hit.chunk.start
            out.append(_Candidate(hit, offset + start, offset + end, text, (inside + 0.5 * nearby) / total, bonus))
        out.sort(key=lambda c: -(self.config.weight_words * c.words + c.bonus))
        return out[: self.config.shortlist]


def units(text: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of what can be quoted on its own: sentences, list items, table rows; no headings or rules."""
    begin = at = 0
    for line in text.splitlines(keepends=True):
        alone = bool(ROW_OR_ITEM.match(line)) or bool(HEADING.match(line)) or not line.strip()
        if alone:
            yield from sentence_spans(text, begin, at)
            begin = at + len(line)
            stripped = line.strip()
            if stripped and not HEADING.match(line) and not RULE.fullmatch(stripped):
                start = at + line.index(stripped)
                yield start, start + len(stripped)
        at += len(line)
    yield from sentence_spans(text, begin, at)


def stems(text: str) -> list[str]:
    """Stems of the words of `text` that carry meaning."""
    return [_stem(word) for word in WORD.findall(text.lower()) if word not in FUNCTION_WORDS]


_STEMMER = snowballstemmer.stemmer("english")


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return _STEMMER.stemWord(word)


def _distinct(extracts: Sequence[Extract]) -> tuple[Extract, ...]:
    """Leave out repetitions: the same words from another document, or an overlapping stretch of the same one."""
    kept: list[Extract] = []
    seen: set[frozenset[str]] = set()
    for e in extracts:
        words = frozenset(stems(e.text))
        overlaps = any(
            k.hit.chunk.document_id == e.hit.chunk.document_id and k.start < e.end and e.start < k.end for k in kept
        )
        if words not in seen and not overlaps:
            kept.append(e)
            seen.add(words)
    return tuple(kept)
