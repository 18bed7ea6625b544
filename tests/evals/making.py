"""Small samples, hits, answers and scorers for tests of evaluations."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from data.records import Answer, Chunk, Citation, Hit, Observation, Sample, Score, Sentence, SourceRef
from evals.scoring import Metric


def sample(identity: str = "s1", question: str = "How long is leave?", **fields) -> Sample:
    return Sample(id=identity, question=question, **fields)


def hit(text: str, uri: str = "file:///docs/leave.md", *others: str, status: str = "", n: int = 0) -> Hit:
    """A chunk that is its whole document, which also lies at `others`."""
    identity = f"doc-{uri}"
    chunk = Chunk(
        id=f"{identity}#{n}", document_id=identity, document_version=1, ordinal=n, start=0, end=len(text), text=text
    )
    sources = tuple(SourceRef(document_id=f"doc-{u}", uri=u, title=u, version=1) for u in (uri, *others))
    return Hit(chunk=chunk, score=1.0, sources=sources, metadata={"status": status} if status else {})


def citation(of: Hit, quote: str) -> Citation:
    start = max(of.chunk.text.find(quote), 0)
    return Citation(
        document_id=of.chunk.document_id,
        document_version=1,
        chunk_id=of.chunk.id,
        start=start,
        end=start + len(quote),
        quote=quote,
        quote_sha256=hashlib.sha256(quote.encode()).hexdigest(),
        uri=of.sources[0].uri,
    )


def answered(*sentences: tuple[str, list[Citation]] | str, hits: tuple[Hit, ...] = (), **fields) -> Observation:
    said = tuple(
        Sentence(text=s) if isinstance(s, str) else Sentence(text=s[0], citations=tuple(s[1])) for s in sentences
    )
    answer = Answer(text=" ".join(s.text for s in said), sentences=said, model="fake")
    return Observation(answer=answer, hits=hits, **fields)


def abstained(**fields) -> Observation:
    return Observation(answer=Answer(text="I don't know.", sentences=(), abstained=True), **fields)


def values(scores) -> dict[str, float | None]:
    return {score.scorer: score.value for score in scores}


@dataclass
class Measure:
    """A scorer of one metric, whose value is what `of` returns or raises."""

    of: Callable[[Sample, Observation], float]
    name: str = "length"
    id: str = "length@1"
    high: float | None = None
    n_asked: int = 0

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (Metric(self.name, high=self.high),)

    def score(self, sample: Sample, observation: Observation) -> list[Score]:
        self.n_asked += 1
        return [Score(scorer=self.name, value=self.of(sample, observation))]


def length(sample: Sample, observation: Observation) -> float:
    return float(len(observation.answer.text))
