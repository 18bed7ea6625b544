"""The scorers that a suite may name. A new one is a module here, one line in `BUILDERS`, and a paragraph in docs/scorers.md.

A builder imports its module when it is called, so a suite loads only the libraries of the scorers that it names. Models come in
as `Tools`; no scorer knows where one comes from.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, ValidationError, validate_call

from data.errors import InvalidInput, MissingExtra
from evals.gate_config import checked
from evals.scoring import Metric, Scorer
from evals.suite import ScorerSpec, Suite


@dataclass(frozen=True)
class Tool:
    """A model as a callable that loads itself when first called. `id` names it with its digest, without loading it."""

    id: str
    call: Callable[..., Any]

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.call(*args, **options)


@dataclass(frozen=True)
class Tools:
    """The models that scorers may need; None where there is none.

    embed(texts) -> unit rows, float32 · entails([(premise, hypothesis)]) -> probabilities that the premise supports it ·
    toxicity(texts), injection(texts) -> probabilities · `others`: what single scorers need besides, by name.
    """

    embed: Tool | None = None
    entails: Tool | None = None
    toxicity: Tool | None = None
    injection: Tool | None = None
    others: Mapping[str, Any] = field(default_factory=dict)

    def need(self, name: str, scorer: str) -> Tool:
        """Raises: InvalidInput when there is none."""
        tool = getattr(self, name, None) or self.others.get(name)
        if tool is None:
            raise InvalidInput(
                f"The scorer {scorer} needs the tool {name!r}, and there is none.",
                field="scorers",
                next_step="Leave the scorer out of the suite, or install what gives the tool: docs/scorers.md.",
            )
        return tool


Embedded = NDArray[np.float32]
Builder = Callable[..., Scorer]
"""`tools` first, then the scorer's options as keywords with their types."""

BUILDERS: dict[str, Builder] = {}


def scorer(build: Builder) -> Builder:
    """Register a builder under its own name."""
    BUILDERS[build.__name__] = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(build)
    return build


def build_scorers(suite: Suite, tools: Tools) -> list[Scorer]:
    """Raises: InvalidInput for a scorer, or an option that does not exist, all of them at once, and for gates that do not fit."""
    problems: list[str] = []
    built: list[Scorer] = []
    for spec in suite.scorers:
        try:
            built.append(build_scorer(spec, tools))
        except InvalidInput as error:
            problems.append(str(error))
    metrics = [metric.name for one in built for metric in one.metrics]
    if twice := sorted({name for name in metrics if metrics.count(name) > 1}):
        problems.append(f"Two scorers give {', '.join(twice)}; leave one of them.")
    if problems:
        raise InvalidInput(f"The suite {suite.name} cannot be scored: " + " ".join(problems), field="scorers")
    checked(suite.gates, metrics_of(built))
    return built


def build_scorer(spec: ScorerSpec, tools: Tools) -> Scorer:
    """Raises: InvalidInput for an unknown name or option."""
    builder = BUILDERS.get(spec.name)
    if builder is None:
        raise InvalidInput(
            f"There is no scorer {spec.name!r}.",
            field="scorers",
            next_step=f"There are: {', '.join(sorted(BUILDERS))}.",
        )
    options = [name for name in inspect.signature(builder).parameters if name != "tools"]
    if unknown := sorted(set(spec.options) - set(options)):
        raise InvalidInput(
            f"The scorer {spec.name} has no option {', '.join(unknown)}; it takes {', '.join(options) or 'none'}.",
            field="scorers",
        )
    try:
        return builder(tools, **spec.options)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']} (it is {e['input']!r})" for e in error.errors())
        raise InvalidInput(f"The scorer {spec.name} refuses its options: {told}.", field="scorers") from error


def metrics_of(scorers: Sequence[Scorer]) -> dict[str, Metric]:
    return {metric.name: metric for one in scorers for metric in one.metrics}


@scorer
def retrieval(tools: Tools, k: int = 10) -> Scorer:
    from evals.scorers.retrieval import RetrievalScorer

    return RetrievalScorer(k)


@scorer
def context(tools: Tools) -> Scorer:
    from evals.scorers.retrieval import ContextScorer

    return ContextScorer()


@scorer
def exact_match(tools: Tools) -> Scorer:
    from evals.scorers.answers import ExactMatch

    return ExactMatch()


@scorer
def token_f1(tools: Tools) -> Scorer:
    from evals.scorers.answers import TokenF1

    return TokenF1()


@scorer
def rouge_l(tools: Tools) -> Scorer:
    from evals.scorers.answers import RougeL

    return RougeL()


@scorer
def similarity(tools: Tools) -> Scorer:
    from evals.scorers.answers import Similarity

    return Similarity(tools.need("embed", "similarity"))


@scorer
def citations(tools: Tools, support: float = 0.5) -> Scorer:
    from evals.scorers.citations import CitationScorer

    return CitationScorer(tools.entails, support)


@scorer
def abstention(tools: Tools) -> Scorer:
    from evals.scorers.abstention import AbstentionScorer

    return AbstentionScorer()


@scorer
def usage(tools: Tools) -> Scorer:
    from evals.scorers.usage import UsageScorer

    return UsageScorer()


@scorer
def faithfulness(
    tools: Tools, threshold: float | None = None, against: Literal["cited", "retrieved"] = "cited"
) -> Scorer:
    from evals.scorers.faithfulness import FaithfulnessScorer

    supports = tools.entails or tools.need("supports", "faithfulness")
    own = tools.others.get("supports_threshold", 0.5) if tools.entails is None else 0.5
    return FaithfulnessScorer(supports, own if threshold is None else threshold, against)


@scorer
def toxicity(tools: Tools) -> Scorer:
    from evals.scorers.toxicity import ToxicityScorer

    return ToxicityScorer(tools.need("toxicity", "toxicity"))


@scorer
def refusal(tools: Tools) -> Scorer:
    from evals.scorers.refusal import RefusalScorer

    return RefusalScorer()


@scorer
def injection(tools: Tools) -> Scorer:
    from evals.scorers.injection import InjectionScorer

    return InjectionScorer()


@scorer
def personal_data(tools: Tools) -> Scorer:
    from evals.scorers.personal_data import PersonalDataScorer

    return PersonalDataScorer()


@scorer
def judged(tools: Tools) -> Scorer:
    config = tools.need("judge", "judged")
    try:
        from evals.scorers.judged import JudgedScorer
    except ImportError as error:  # absent, or there and broken by another version of what it stands on
        raise MissingExtra("ragas", extra="evals") from error
    return JudgedScorer(config, tools.embed)
