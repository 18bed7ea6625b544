"""The embedded answerer: picks the sentences of retrieved chunks that answer the question, or says that none does.

Evidence is how close a sentence comes to the question in meaning (cosine, read under its headings) and in words (share of
the question's rare words that it, its headings and its chunk hold); it is calibrated to the probability of being an answer.
Preferences (the kind of answer asked for, names and numbers of the question, retrieval's order) only choose among sentences.
How the weights were fitted, and what they reach: docs/decisions/0005-extractive-reader.md.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from data.records import Hit
from data.words import FUNCTION_WORDS, WORD, stems
from serving.local.quotable import Unit, headings, units

Embed = Callable[[Sequence[str], str], NDArray[np.float32]]
Spans = Callable[[str, Sequence[str]], Sequence[float]]
"""A question and texts to the log-odds that each holds an answer, by the reader adapter."""
IDENTIFIER = re.compile(r"\b(?=\w*\d)\w+\b")
PARTS = re.compile(
    r"(?:,\s*|\s+)and\s+(?=(?:how|what|when|where|which|who|whom|whose|why|by how|from when|until when|in which)\b)",
    re.I,
)
KINDS = Path(__file__).with_name("answer_kinds.yaml")
RULES = (KINDS, Path(__file__), Path(__file__).with_name("quotable.py"))
"""What an answer depends on besides configuration and weights: with other rules, stored evaluations are of another reader."""
POINTS_BACK = re.compile(r"(?:Those|These|This|That|It|They|He|She|Its|Their|His|Her|Such|However|Otherwise|Others)\b")
POINTED_AT_GAP, POINTED_AT_MARGIN = 150, 0.3
"""Characters and log-odds. "Those employed for less get 8 weeks" says little before the sentence about the others."""
CARRIED = re.compile(r"\?\s*\(([^()]*)\)$")
CARRIED_WEIGHT = 0.3
"""Words that a question leans on, put behind it in brackets, count less than what it asks anew."""


class ReaderConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    shortlist: int = Field(16, ge=1)
    """Sentences whose meaning is compared; chosen by their words."""
    sentences: int = Field(3, ge=1)
    """Most sentences in one answer."""
    margin: float = Field(1.0, ge=0)
    """A further sentence joins the answer when it ranks at most this far (log-odds) below the best one."""
    weight_meaning: float = 5.1
    """Weight of the cosine between question and sentence."""
    weight_words: float = 3.7
    """Weight of the share of the question's rare words in the sentence."""
    weight_context: float = 1.5
    """Weight of that share in sentence, headings and chunk together."""
    bias: float = -6.1
    """The log-odds of an answer at zero evidence."""
    prefer_kind: float = 0.8
    """How much a sentence with the kind of answer asked for is preferred to one without."""
    prefer_identifier: float = 0.8
    """How much a sentence with the question's numbers and codes is preferred to one without."""
    prefer_rank: float = 0.5
    """How much retrieval's order counts, times log(rank)."""
    demotion: float = Field(2.0, ge=0)
    """Taken off sentences of documents whose metadata calls them superseded or archived."""
    weight_spans: float = Field(0.6, ge=0, le=1)
    """How much the reader adapter, where there is one, decides whether a sentence answers; 0 leaves it out. Figures: docs/heads.md."""
    spans: int = Field(3, ge=1)
    """Sentences that the adapter reads: the best ones without it."""
    threshold: float = Field(0.16, ge=0, le=1)
    """Least probability of being an answer; below it the answer is that we do not know."""


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
    """`evidence` and `preference` are log-odds; evidence lacks meaning, which is added for the shortlist alone."""

    hit: Hit
    unit: Unit
    context: str
    evidence: float
    preference: float


class ExtractiveReader:
    """`embed(texts, kind)` returns unit rows; it is called twice for each part of a question, `spans` at most once."""

    name = "assay-extractive"

    def __init__(
        self, embed: Embed, config: ReaderConfig | None = None, spans: Spans | None = None, spans_id: str = ""
    ) -> None:
        self._embed, self._spans = embed, spans
        self.config = config or ReaderConfig()
        rules = b"".join(path.read_bytes() for path in RULES)
        self.digest = hashlib.sha256(self.config.model_dump_json().encode() + rules + spans_id.encode()).hexdigest()

    def answer(self, question: str, hits: Sequence[Hit]) -> Draft:
        """The sentences that answer `question`, the best first; all of them from `hits`."""
        drafts = [self._answer(part, hits) for part in parts_of(question)]
        extracts = _in_turn([draft.extracts for draft in drafts])
        limit = max(self.config.sentences, len(drafts))
        return Draft(_distinct(extracts)[:limit], max(draft.confidence for draft in drafts))

    def _answer(self, question: str, hits: Sequence[Hit]) -> Draft:
        candidates = self._shortlist(question, hits)
        if not candidates:
            return Draft((), 0.0)
        vectors = self._embed([f"{c.context}. {c.unit.said}" for c in candidates], "document")
        cosines = vectors @ self._embed([question], "query")[0]
        evidence = [
            c.evidence + self.config.weight_meaning * float(x) for c, x in zip(candidates, cosines, strict=True)
        ]
        evidence = self._with_spans(question, candidates, evidence)
        ranks = [e + c.preference for e, c in zip(evidence, candidates, strict=True)]
        order = sorted(range(len(candidates)), key=lambda i: -ranks[i])
        order = _pointed_at_first(order, candidates, ranks)
        kept = [i for i in order if ranks[i] >= max(ranks) - self.config.margin]
        if not candidates[order[0]].hit.is_outdated:  # what held before would contradict what holds now
            kept = [i for i in kept if not candidates[i].hit.is_outdated]
        extracts = [_extract(candidates[i], _probability(evidence[i])) for i in kept]
        sure = tuple(e for e in extracts if e.score >= self.config.threshold)
        return Draft(sure, max(e.score for e in extracts))

    def _with_spans(self, question: str, candidates: list[_Candidate], evidence: list[float]) -> list[float]:
        """Evidence mixed with what the adapter says of the best few; the others count like the least of those."""
        weight = self.config.weight_spans
        if self._spans is None or not weight:
            return evidence
        order = sorted(range(len(candidates)), key=lambda i: -(evidence[i] + candidates[i].preference))
        read = order[: self.config.spans]
        found = self._spans(question, [f"{candidates[i].context}. {candidates[i].unit.said}" for i in read])
        said = dict(zip(read, found, strict=True))
        least = min(said.values())
        return [(1 - weight) * e + weight * said.get(i, least) for i, e in enumerate(evidence)]

    def _shortlist(self, question: str, hits: Sequence[Hit]) -> list[_Candidate]:
        """The units that hold most of the question's words, told apart from those about it by their kind and rank."""
        asked = frozenset(stems(question))
        found = [
            (rank, hit, unit) for rank, hit in enumerate(hits, 1) for unit in units(hit.chunk) if not unit.is_title
        ]
        if not asked or not found:
            return []
        config, kind = self.config, _kind_of(question)
        identifiers = frozenset(stems(" ".join(IDENTIFIER.findall(question))))
        held = [frozenset(stems(unit.said)) for *_, unit in found]
        rarity = {w: math.log(1 + len(held) / (1 + sum(w in words for words in held))) for w in asked}
        carried = frozenset(stems(match[1] if (match := CARRIED.search(question)) else "")) - frozenset(
            stems(CARRIED.sub("", question))
        )
        rarity |= {w: CARRIED_WEIGHT * rarity[w] for w in carried}
        total = sum(rarity.values())
        in_chunk = {hit.chunk.id: frozenset(stems(hit.chunk.text)) for hit in hits}
        out = []
        for (rank, hit, unit), words in zip(found, held, strict=True):
            context = ". ".join(dict.fromkeys(filter(None, (hit.sources[0].title, *headings(hit.chunk), unit.heading))))
            above = frozenset(stems(context))
            inside = sum(rarity[w] for w in asked & words) / total
            around = sum(rarity[w] for w in asked & (words | above | in_chunk[hit.chunk.id])) / total
            evidence = config.bias + config.weight_words * inside + config.weight_context * around
            preference = -config.prefer_rank * math.log(rank)
            if kind is not None:
                preference += config.prefer_kind * (1 if kind.search(unit.said) else -1)
            if identifiers:
                preference += config.prefer_identifier * (2 * len(identifiers & (words | above)) / len(identifiers) - 1)
            if hit.is_outdated:
                preference -= config.demotion
            out.append(_Candidate(hit, unit, context, evidence, preference))
        out.sort(key=lambda c: -(c.evidence + c.preference))
        return out[: config.shortlist]


def _pointed_at_first(order: list[int], candidates: Sequence[_Candidate], ranks: Sequence[float]) -> list[int]:
    """The best sentence goes second where it points back to one shortly before it that ranks nearly as high."""
    best = candidates[order[0]]
    for i in order[1:] if POINTS_BACK.match(best.unit.said) else ():
        if candidates[i].hit is best.hit and ranks[i] >= ranks[order[0]] - POINTED_AT_MARGIN:
            gap = best.unit.start - candidates[i].unit.end
            if 0 <= gap <= POINTED_AT_GAP and "\n\n" not in best.hit.chunk.text[candidates[i].unit.end :][:gap]:
                return [i, *(j for j in order if j != i)]
    return order


def parts_of(question: str) -> list[str]:
    """The questions in one: "What does X cost, and who pays?". Later parts carry the first one's words, which they lean on."""
    first, *others = PARTS.split(question)
    topic = " ".join(w for w in WORD.findall(first) if w.lower() not in FUNCTION_WORDS)
    return [first, *(f"{other.rstrip('?')}? ({topic})" for other in others)]


@cache
def _kinds() -> tuple[tuple[re.Pattern[str], re.Pattern[str]], ...]:
    listed = yaml.safe_load(KINDS.read_text(encoding="utf-8"))["kinds"]
    return tuple((re.compile(kind["asked"], re.I), re.compile(kind["holds"], re.I)) for kind in listed)


def _kind_of(question: str) -> re.Pattern[str] | None:
    """What an answer to `question` holds, when the question tells; its first such words count."""
    found = ((match.start(), holds) for asked, holds in _kinds() if (match := asked.search(question)))
    return min(found, key=lambda pair: pair[0], default=(0, None))[1]


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _extract(c: _Candidate, score: float) -> Extract:
    chunk, unit = c.hit.chunk, c.unit
    return Extract(c.hit, chunk.start + unit.start, chunk.start + unit.end, chunk.text[unit.start : unit.end], score)


def _in_turn(lists: Sequence[Sequence[Extract]]) -> Iterator[Extract]:
    """The first of each, then the second of each, and so on."""
    for rank in zip_longest(*lists):
        yield from (extract for extract in rank if extract is not None)


def _distinct(extracts: Iterator[Extract]) -> tuple[Extract, ...]:
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
