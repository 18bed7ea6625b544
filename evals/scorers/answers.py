"""How close an answer comes to the sample's reference answer, in words and in meaning. Needs no judge.

They apply to answerable samples with a reference (`answer`, and further ones in `metadata.answers`: the best counts). An
answer that abstains scores 0 there; what is right for an unanswerable sample is the abstention scorer's business.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from data.records import Observation, Sample, Score
from evals.scoring import Metric

ARTICLES = re.compile(r"\b(a|an|the)\b")
TOKEN = re.compile(r"[a-z0-9]+")
PUNCTUATION = set(string.punctuation)


def normalised(text: str) -> str:
    """Lower case without punctuation, articles and spare blanks: `normalize_answer` of SQuAD's official script."""
    bare = "".join(character for character in text.lower() if character not in PUNCTUATION)
    return " ".join(ARTICLES.sub(" ", bare).split())


def token_scores(said: str, wanted: str) -> tuple[float, float]:
    """F1 and recall of the wanted tokens (Rajpurkar et al. 2016, section 6.1)."""
    ours, theirs = normalised(said).split(), normalised(wanted).split()
    if not ours or not theirs:
        return float(ours == theirs), float(ours == theirs)
    n_same = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * n_same / (len(ours) + len(theirs)), n_same / len(theirs)


def rouge_l(said: str, wanted: str) -> float:
    """F1 of the longest common subsequence of tokens (Lin 2004, equations 2 to 4 with beta = 1), unstemmed."""
    ours, theirs = TOKEN.findall(said.lower()), TOKEN.findall(wanted.lower())
    common = _common(ours, theirs)
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0


@dataclass(frozen=True)
class ExactMatch:
    """exact_match: 1 when the normalised answer equals a normalised reference."""

    id: str = "exact_match@1"
    metrics = (Metric("exact_match"),)

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        return _best(sample, observation, self.metrics, lambda said, ref: [float(normalised(said) == normalised(ref))])


@dataclass(frozen=True)
class TokenF1:
    """token_f1, and token_recall: the share of the reference's tokens in the answer, which whole quoted sentences allow for."""

    id: str = "token_f1@1"
    metrics = (Metric("token_f1"), Metric("token_recall"))

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        return _best(sample, observation, self.metrics, token_scores)


@dataclass(frozen=True)
class RougeL:
    id: str = "rouge_l@1"
    metrics = (Metric("rouge_l"),)

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        return _best(sample, observation, self.metrics, lambda said, ref: [rouge_l(said, ref)])


class Similarity:
    """similarity: cosine of answer and reference; negative ones count as 0. `embed(texts)` gives unit rows."""

    metrics = (Metric("similarity"),)

    def __init__(self, embed: Callable[[Sequence[str]], np.ndarray]) -> None:
        self._embed = embed

    @cached_property
    def id(self) -> str:
        return f"similarity@1({getattr(self._embed, 'id', '')})"

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        return _best(sample, observation, self.metrics, self._cosine)

    def _cosine(self, said: str, wanted: str) -> list[float]:
        if not said.strip():
            return [0.0]
        ours, theirs = self._embed([said, wanted])
        return [float(np.clip(ours @ theirs, 0.0, 1.0))]


def _best(
    sample: Sample,
    seen: Observation,
    metrics: Sequence[Metric],
    measure: Callable[[str, str], Sequence[float]],
) -> list[Score]:
    """Each metric's best value over the references."""
    references = _references(sample)
    if not references or seen.answer is None:
        return []
    if seen.answer.abstained:
        return [Score(scorer=metric.name, value=0.0) for metric in metrics]
    values = [measure(seen.answer.text, reference) for reference in references]
    return [
        Score(scorer=m.name, value=max(column)) for m, column in zip(metrics, zip(*values, strict=True), strict=True)
    ]


def _references(sample: Sample) -> list[str]:
    if not sample.answerable:
        return []
    more = sample.metadata.get("answers")
    others = [text for text in more if isinstance(text, str)] if isinstance(more, list) else []
    return [*([sample.answer] if sample.answer else []), *others]


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    before = [0] * (len(b) + 1)
    for x in a:
        now = [0]
        for n, y in enumerate(b, 1):
            now.append(before[n - 1] + 1 if x == y else max(before[n], now[-1]))
        before = now
    return before[-1]
