"""What an answer cost: time and tokens. A row from the cache tells what it cost when it was asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from data.records import Observation, Sample, Score
from evals.scoring import Metric


@dataclass(frozen=True)
class UsageScorer:
    """latency_ms; prompt_tokens and completion_tokens where a model counted any."""

    id: str = "usage@1"
    metrics = (
        Metric("latency_ms", high=None, higher_is_better=False, unit="ms"),
        Metric("prompt_tokens", high=None, higher_is_better=False),
        Metric("completion_tokens", high=None, higher_is_better=False),
    )

    def score(self, sample: Sample, observation: Observation) -> Sequence[Score]:
        scores = [Score(scorer="latency_ms", value=observation.latency_ms)]
        used = observation.answer.usage if observation.answer else None
        if used and used.total_tokens:
            scores.append(Score(scorer="prompt_tokens", value=used.prompt_tokens))
            scores.append(Score(scorer="completion_tokens", value=used.completion_tokens))
        return scores
