"""What is behind a window's alarms, the most harmful first, with questions to read and something to do. Counts harm in support rate:

the share of requests answered with support. A slice of the window that is answered with support less often than the reference costs its share
of the requests times that difference; only what a slice has more of than the reference had counts as drift.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.drift.language import Columns, LanguageBaseline
from evals.drift.records import Cause, Cluster, CoveragePoint, MonitorValue
from evals.drift.requests import RequestWindow
from evals.drift.topics import ALIKE, Topic, topics, word_counts

NEW_QUANTILE = 0.9
"""A question is new where it is farther from the reference's questions than this share of them."""
GROWN = 2.0
"""A topic has grown where it is so many times as frequent as in the reference."""
UNANSWERED = 0.25
"""A topic is a gap too where it is answered with support so much less often than is usual."""
MOST_TOPICS = 8
MOST_POINTS = 1500
UNIT = "support rate"


@dataclass(frozen=True)
class Grown:
    """A topic that the window has more of. `excess` is the share of the window above the reference's."""

    topic: Topic
    share: float
    excess: float
    harm: float
    similarity: float
    is_gap: bool
    """Whether the knowledge base does not hold it: no chunk is near to it, or hardly one question about it was answered."""
    is_far: bool
    """Whether no chunk is near to it."""
    supported: float


@dataclass(frozen=True)
class LanguageCauses:
    causes: tuple[Cause, ...]
    clusters: tuple[Cluster, ...]
    drifted: NDArray[np.int64]
    """Places of the requests in the window that a regression suite is made of, most typical first."""
    points: tuple[CoveragePoint, ...]


def language_causes(
    baseline: LanguageBaseline, window: RequestWindow, values: Sequence[MonitorValue], chunk_ids: Sequence[str] = ()
) -> LanguageCauses:
    here = baseline.columns_of(window)
    grown = grown_topics(baseline, window, here)
    clusters = tuple(_cluster(k, one, window) for k, one in enumerate(grown) if one.is_gap)
    alarmed = {value.monitor for value in values if value.is_alarm}
    explained = sum(one.harm for one in grown)
    causes = [*_together(grown), *map(_topic_cause, grown), *_whole_causes(baseline, here, alarmed, explained)]
    ordered = tuple(sorted(causes, key=lambda cause: -(cause.harm if cause.harm is not None else -1.0)))
    drifted = np.concatenate([one.topic.rows for one in grown]) if grown else np.empty(0, np.int64)
    return LanguageCauses(ordered, clusters, drifted, tuple(_points(baseline, window, here, grown)))


def grown_topics(baseline: LanguageBaseline, window: RequestWindow, here: Columns) -> list[Grown]:
    """Topics among new or far questions that are more frequent than they were, the most harmful first."""
    if not len(here.vectors) or not baseline.has_vectors:
        return []
    fresh = baseline.novelty(here) > np.quantile(baseline.novelty(_half(baseline)), NEW_QUANTILE)
    far = np.nan_to_num(baseline.is_far(here)[here.with_vector], nan=0.0) > 0
    usual = word_counts(baseline.reference.questions)
    questions = [window.questions[place] for place in here.with_vector]
    found = topics(here.vectors, questions, np.flatnonzero(fresh | far), usual, sum(usual.values()))
    ours = baseline.columns
    usual_support = float(np.nanmean(ours.numbers["supported"]))
    grown = []
    for topic in found:
        share = len(topic.rows) / len(here.vectors)
        before = float(((ours.vectors @ topic.centre) >= ALIKE).mean())
        if share < GROWN * before:
            continue
        places = here.with_vector[topic.rows]
        supported = float(np.nanmean(here.numbers["supported"][places]))
        near = float(np.nanmean(here.nearness[places])) if (~np.isnan(here.nearness[places])).any() else float("nan")
        moved = Topic(places, topic.centre, topic.terms, topic.examples)
        excess = share - before
        harm = max(0.0, excess * (usual_support - supported))
        is_far = near < baseline.far_below
        is_gap = is_far or supported < UNANSWERED * usual_support
        grown.append(Grown(moved, share, excess, harm, near, is_gap, is_far, supported))
    return sorted(grown, key=lambda one: (-one.harm, -one.excess))[:MOST_TOPICS]


def _half(baseline: LanguageBaseline) -> Columns:
    """Those of the reference that novelty was not fitted on."""
    ours = baseline.columns
    return Columns(ours.numbers, ours.vectors[1::2], ours.with_vector[1::2], ours.nearness)


def _together(grown: Sequence[Grown]) -> list[Cause]:
    """Several new topics are one cause first: what they cost together is what a person decides by."""
    if len(grown) < 2:
        return []
    words = tuple(dict.fromkeys(term for one in grown for term in one.topic.terms[:2]))[:MOST_TOPICS]
    gaps = [one.topic.terms[0] for one in grown if one.is_gap and one.topic.terms]
    doing = (
        f"Ingest documents about {', '.join(dict.fromkeys(gaps))}."
        if gaps
        else "Read these questions; add samples to a suite."
    )
    share, supported = (
        sum(one.share for one in grown),
        float(np.average([one.supported for one in grown], weights=[one.share for one in grown])),
    )
    return [
        Cause(
            monitor="coverage.far" if gaps else "stream.novelty",
            told=f"{share:.1%} of the questions are about {len(grown)} topics that have grown ({', '.join(words)}); {supported:.0%} of them are "
            "answered with support.",
            harm=sum(one.harm for one in grown),
            slice=", ".join(words),
            share=share,
            examples=tuple(one.topic.examples[0] for one in grown if one.topic.examples)[:3],
            action=doing,
        )
    ]


def _topic_cause(one: Grown) -> Cause:
    name = ", ".join(one.topic.terms) or "questions without words"
    gap = "; no chunk is near to them" if one.is_far else "; no chunk answers them" if one.is_gap else ""
    action = (
        f"Ingest documents about {name}" if one.is_gap else f"Read these questions; add samples about {name} to a suite"
    )
    return Cause(
        monitor="coverage.far" if one.is_gap else "stream.novelty",
        told=f"{one.share:.1%} of the questions are about {name} ({one.excess:+.1%}){gap}; {one.supported:.0%} of them are answered with support.",
        harm=one.harm,
        slice=name,
        share=one.share,
        examples=one.topic.examples,
        action=f"{action}.",
    )


def _whole_causes(baseline: LanguageBaseline, here: Columns, alarmed: set[str], explained: float) -> list[Cause]:
    """What moved over all of the window; of lost support what its topics do not explain."""
    ours = baseline.columns
    causes = []
    lost = float(np.nanmean(ours.numbers["supported"]) - np.nanmean(here.numbers["supported"]))
    answers = {
        "requests.abstained",
        "requests.supported",
        "stream.abstained",
        "stream.unsupported",
        "requests.thumbs_down",
    }
    if monitor := next((m for m in sorted(answers) if m in alarmed), ""):
        before, after = (float(np.nanmean(side.numbers["supported"])) for side in (ours, here))
        causes.append(
            Cause(
                monitor=monitor,
                told=f"{after:.1%} of the requests are answered with support, {before:.1%} in the reference"
                + (f"; new topics explain {min(1.0, explained / lost):.0%} of it." if lost > 0 else "."),
                harm=max(0.0, lost - explained),
                share=1.0,
                action="Compare two receipts with `assay blame`; if model, adapter or prompt changed, roll back.",
            )
        )
    slow = [m for m in ("stream.latency", "requests.latency_ms") if m in alarmed]
    if slow:
        before, after = (float(np.nanmedian(side.numbers["latency_ms"])) for side in (ours, here))
        causes.append(
            Cause(
                monitor=slow[0],
                told=f"Half of the answers take more than {after:.0f} ms, {before:.0f} ms in the reference.",
                share=1.0,
                action="See docs/runbooks/incident-response.md: load, model server, index lag.",
            )
        )
    return causes


def _cluster(number: int, one: Grown, window: RequestWindow) -> Cluster:
    return Cluster(
        id=number,
        terms=one.topic.terms,
        n=len(one.topic.rows),
        share=len(one.topic.rows) / len(window),
        similarity=one.similarity,
        examples=one.topic.examples,
    )


def _points(
    baseline: LanguageBaseline, window: RequestWindow, here: Columns, grown: Sequence[Grown]
) -> list[CoveragePoint]:
    """Questions of the window and chunks (else the reference's questions) on the plane that separates most."""
    if len(here.vectors) < 3:
        return []
    rng = np.random.default_rng(0)
    knowledge = baseline.knowledge
    ground = knowledge.vectors if knowledge is not None else baseline.columns.vectors
    names = knowledge.ids if knowledge is not None else tuple("" for _ in range(len(ground)))
    chosen = np.sort(rng.choice(len(ground), min(len(ground), MOST_POINTS), replace=False))
    asked = np.sort(rng.choice(len(here.vectors), min(len(here.vectors), MOST_POINTS), replace=False))
    both = np.concatenate([ground[chosen], here.vectors[asked]])
    flat = plane(both)
    cluster_of = {int(place): k for k, one in enumerate(grown) for place in one.topic.rows}
    gaps = {int(place) for one in grown if one.is_gap for place in one.topic.rows}
    points = [
        CoveragePoint(kind="chunk" if knowledge is not None else "query", x=float(x), y=float(y), label=names[i])
        for i, (x, y) in zip(chosen, flat[: len(chosen)], strict=True)
        if knowledge is not None
    ]
    for i, (x, y) in zip(asked, flat[len(chosen) :], strict=True):
        place = int(here.with_vector[i])
        points.append(
            CoveragePoint(
                kind="query",
                x=float(x),
                y=float(y),
                cluster=cluster_of.get(place, -1),
                is_gap=place in gaps,
                label=window.questions[place],
            )
        )
    return points


def plane(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """[n, 2]: the two principal components, each of unit spread."""
    centred = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    flat = centred @ axes[:, np.argsort(values)[::-1][:2]]
    return flat / np.maximum(flat.std(axis=0), 1e-9)
