"""What each head must beat, as callables for the measured commands: the sentence reader, cosine, words, rules. Trained on nothing here."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from app.screening import injected
from data.records import Chunk, Hit, SourceRef
from serving.local.grounder import LexicalGrounder

if TYPE_CHECKING:
    from retrieval.embedding import Embedder
    from serving.local.reader import ExtractiveReader

TOXIC_WORDS = Path(__file__).parent.parent / "evals" / "toxic_words.txt"
Pairs = Sequence[tuple[str, str]]


def sentence_reader(reader: "ExtractiveReader") -> Callable[[Pairs], list[tuple[str, float]]]:
    """The sentence that the product's sentence reader picks out of each context, with its probability. Make it with threshold 0."""

    def read(pairs: Pairs) -> list[tuple[str, float]]:
        drafts = [reader.answer(question, [_hit(context)]) for question, context in pairs]
        return [(draft.extracts[0].text if draft.extracts else "", draft.confidence) for draft in drafts]

    return read


def cosine(encoder: "Embedder") -> Callable[[Pairs], list[float]]:
    """Of premise and hypothesis, by the sentence encoder."""

    def supports(pairs: Pairs) -> list[float]:
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        vectors = dict(zip(texts, encoder.embed(texts, kind="document"), strict=True))
        return [float(vectors[premise] @ vectors[hypothesis]) for premise, hypothesis in pairs]

    return supports


def shared_words(pairs: Pairs) -> list[float]:
    """Of the lexical grounder."""
    grounder = LexicalGrounder()
    return [grounder.support(hypothesis, [premise])[0] for premise, hypothesis in pairs]


def listed_words(texts: Sequence[str]) -> list[float]:
    """1 for a text with a word of the list, and a little more for each further one."""
    return [_rising(len(_listed().findall(text))) for text in texts]


def injection_rules(texts: Sequence[str]) -> list[float]:
    """1 for a text that the product's rules withhold."""
    return [float(bool(injected(text))) for text in texts]


def _rising(n: int) -> float:
    return 0.0 if n == 0 else 1 + n / 1000


def _hit(context: str) -> Hit:
    chunk = Chunk(id="c#0", document_id="c", document_version=1, ordinal=0, start=0, end=len(context), text=context)
    return Hit(chunk=chunk, score=1.0, sources=(SourceRef(document_id="c", uri="c", title="", version=1),))


@cache
def _listed() -> re.Pattern[str]:
    lines = TOXIC_WORDS.read_text("utf-8").splitlines()
    words = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})(?:s|es|ed|ing|in|er|ers|y)?\b", re.I)
