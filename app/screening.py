"""Screens what comes in: questions by policy, retrieved text for orders to the model. Rules are data; a trained guard reads beside them.

What is flagged is blanked for the answerer, length and offsets kept, and named in the log and in the receipt. Retrieval still
shows it: it is the reader's document.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from app.guards import Guard
from data.errors import InvalidInput
from data.records import Hit, Withheld
from data.redaction import personal_data, redacted
from data.sentences import sentence_spans

RULES = Path(__file__).with_name("screening_rules.yaml")
INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
PARAGRAPH = re.compile(r"\S.*?(?=\n[ \t]*\n|\Z)", re.DOTALL)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
LIKELY = 0.5
"""Probability from which a paragraph of a suspicious chunk is what made it suspicious."""


class ScreeningConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    max_question_chars: int = Field(4000, ge=1)
    """Longest question."""
    personal_data: Literal["allow", "redact", "refuse"] = "allow"
    """What happens to e-mail addresses, phone, card and account numbers in a question."""
    injection: Literal["allow", "refuse"] = "allow"
    """What happens to a question that tries to give the model new instructions."""
    chunks: Literal["withhold", "allow"] = "withhold"
    """Whether what gives orders in retrieved chunks is kept from the answerer."""
    injection_threshold: float = Field(0.9, ge=0, le=1)
    """The probability from which the injection adapter, where there is one, holds a text for an order; 1 leaves it to the rules."""
    toxicity: Literal["allow", "refuse"] = "allow"
    """What happens to a question that the toxicity adapter holds for toxic. Many who ask about abuse quote it."""
    toxic_answers: Literal["allow", "withhold"] = "withhold"
    """Whether toxic sentences that a model wrote are kept back. Quotes from documents are never."""
    toxicity_threshold: float = Field(0.9, ge=0, le=1)
    """The probability from which the toxicity adapter, where there is one, holds a text for toxic; 1 turns it off."""


NO_GUARD = Guard()


def screen_question(question: str, config: ScreeningConfig, guard: Guard = NO_GUARD) -> str:
    """Return the question to work with. Raises: InvalidInput when policy refuses it."""
    question = CONTROL.sub(" ", unicodedata.normalize("NFC", question)).strip()
    if not question:
        raise InvalidInput("The question is empty.", field="question", next_step="Write a question.")
    if len(question) > config.max_question_chars:
        raise InvalidInput(
            f"The question has {len(question)} characters; at most {config.max_question_chars} are allowed.",
            field="question",
            next_step="Shorten it.",
        )
    if config.injection == "refuse" and (reason := ordering(question, config, guard)):
        raise InvalidInput(
            f"The question was refused: it {reason}.", field="question", next_step="Ask about the documents."
        )
    if config.toxicity == "refuse" and is_toxic(question, config, guard):
        raise InvalidInput(
            "The question was refused: it reads as toxic.", field="question", next_step="Ask it without abuse."
        )
    if config.personal_data == "allow" or not (found := personal_data(question)):
        return question
    if config.personal_data == "refuse":
        kinds = ", ".join(sorted({f.kind for f in found}))
        raise InvalidInput(
            f"The question holds personal data ({kinds}).", field="question", next_step="Ask without it."
        )
    return redacted(question)


def screen_hits(
    hits: tuple[Hit, ...], config: ScreeningConfig, guard: Guard = NO_GUARD
) -> tuple[tuple[Hit, ...], tuple[Withheld, ...]]:
    """Return the hits as the answerer may see them, and what was blanked in them."""
    if config.chunks == "allow":
        return hits, ()
    hits, by_rules = _withheld(hits, tuple(stretch for hit in hits for stretch in _orders(hit)))
    hits, by_guard = _withheld(hits, tuple(_trained_orders(hits, config, guard)))
    return hits, by_rules + by_guard


def is_toxic(text: str, config: ScreeningConfig, guard: Guard) -> bool:
    """Whether the toxicity adapter is that sure; never where there is none."""
    if guard.toxicity is None or config.toxicity_threshold >= 1:
        return False
    return guard.toxicity([_folded(text)])[0] >= config.toxicity_threshold


def injected(text: str) -> str:
    """Why `text` looks like an order to the model; empty when it does not."""
    return _reason(text, "orders")


def ordering(question: str, config: ScreeningConfig, guard: Guard = NO_GUARD) -> str:
    """Why rules or guard hold a question for an order to the model; empty when neither does."""
    return injected(question) or _trained(question, config, guard)


def _orders(hit: Hit) -> list[Withheld]:
    """The paragraphs that give orders, and suspicious sentences anywhere else in the same chunk."""
    text, at = hit.chunk.text, hit.chunk.start
    if not (reason := injected(text)):
        return []
    paragraphs = [m.span() for m in PARAGRAPH.finditer(text)]
    found = [(s, e, why) for s, e in paragraphs if (why := injected(text[s:e]))]
    if not found:  # the order runs over several paragraphs: none of the chunk is safe
        return [Withheld(chunk_id=hit.chunk.id, start=at, end=hit.chunk.end, reason=reason)]
    for s, e in (span for span in paragraphs if not any(span == (f, t) for f, t, _ in found)):
        spans = sentence_spans(text, s, e)
        found += [(f, t, why) for f, t in spans if (why := _reason(text[f:t], "accomplices"))]
    return [Withheld(chunk_id=hit.chunk.id, start=at + s, end=at + e, reason=why) for s, e, why in sorted(found)]


def _trained_orders(hits: tuple[Hit, ...], config: ScreeningConfig, guard: Guard) -> Iterator[Withheld]:
    """What the guard holds for orders: the paragraphs by which a chunk reads so. Two looks must agree: a chunk of many subjects looks
    as if something had been planted in it, though none of its paragraphs does."""
    if guard.injection is None or config.injection_threshold >= 1 or not hits:
        return
    for hit, worst in zip(hits, guard.injection([_folded(hit.chunk.text) for hit in hits]), strict=True):
        if worst < config.injection_threshold:
            continue
        text, at = hit.chunk.text, hit.chunk.start
        spans = [match.span() for match in PARAGRAPH.finditer(text)]
        judged = list(zip(spans, guard.injection([_folded(text[s:e]) for s, e in spans]), strict=True))
        for (start, end), p in judged:
            if p >= LIKELY:
                reason = f"reads like an order ({p:.2f})"
                yield Withheld(chunk_id=hit.chunk.id, start=at + start, end=at + end, reason=reason)


def _trained(text: str, config: ScreeningConfig, guard: Guard) -> str:
    """Why the guard holds a question for an order; empty when it does not."""
    if guard.injection is None or config.injection_threshold >= 1:
        return ""
    return "reads like an order" if guard.injection([_folded(text)])[0] >= config.injection_threshold else ""


def _withheld(hits: tuple[Hit, ...], found: tuple[Withheld, ...]) -> tuple[tuple[Hit, ...], tuple[Withheld, ...]]:
    if not found:
        return hits, ()
    return tuple(_blanked(hit, [w for w in found if w.chunk_id == hit.chunk.id]) for hit in hits), found


def _blanked(hit: Hit, withheld: list[Withheld]) -> Hit:
    text = hit.chunk.text
    for stretch in withheld:
        start, end = stretch.start - hit.chunk.start, stretch.end - hit.chunk.start
        text = text[:start] + " " * (end - start) + text[end:]
    return hit.model_copy(update={"chunk": hit.chunk.model_copy(update={"text": text})})


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", INVISIBLE.sub("", text))


def _reason(text: str, kind: Literal["orders", "accomplices"]) -> str:
    plain = _folded(text)
    return next((reason for pattern, reason in _rules()[kind] if pattern.search(plain)), "")


@cache
def _rules() -> dict[str, tuple[tuple[re.Pattern[str], str], ...]]:
    listed = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return {
        kind: tuple((re.compile(rule["pattern"], re.IGNORECASE | re.DOTALL), rule["reason"]) for rule in rules)
        for kind, rules in listed.items()
    }
