"""`retrieve()`: the whole of a search in one readable function."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.records import Query, SearchMode, SearchResult, StageScore
from retrieval.catalog import Catalog
from retrieval.config import SearchConfig
from retrieval.fusion import fuse
from retrieval.snapshot import Ranked, Snapshot

EmbedQuery = Callable[[str], NDArray[np.float32]]


@dataclass(frozen=True)
class Searcher:
    """What a search needs besides the query and the snapshot."""

    catalog: Catalog
    embed: EmbedQuery
    config: SearchConfig


def retrieve(query: Query, snapshot: Snapshot, searcher: Searcher) -> SearchResult:
    """Return the best `query.k` chunks that the principal may read, best first."""
    watch = _Stopwatch()
    config, depth = searcher.config, max(query.k, searcher.config.candidates)
    access = searcher.catalog.access(query, snapshot.generation)
    lexical: Ranked = []
    dense: Ranked = []
    if query.mode is not SearchMode.DENSE:
        lexical = snapshot.search_lexical(query.text, depth, access)
        watch.lap("lexical")
    if query.mode is not SearchMode.LEXICAL:
        vector = searcher.embed(query.text)
        watch.lap("embed")
        dense = snapshot.search_dense(vector, depth, access)
        watch.lap("dense")
    if query.mode is SearchMode.HYBRID:
        lexical_scores = dict(lexical) | snapshot.lexical_scores(query.text, _missing(dense, lexical))
        dense_scores = dict(dense) | snapshot.dense_scores(vector, _missing(lexical, dense))
        ranked = fuse(lexical_scores, dense_scores, config=config.fusion)
        watch.lap("fusion")
    else:
        ranked = lexical or dense
    stages = _Stages(lexical=lexical, dense=dense, fusion=ranked if query.mode is SearchMode.HYBRID else [])
    hits = searcher.catalog.hits(ranked, access, query.k, stages.of)
    watch.lap("fetch")
    return SearchResult(hits=tuple(hits), snapshot_id=snapshot.id, timings_ms=watch.laps)


def _missing(ranked: Ranked, other: Ranked) -> list[int]:
    """The chunks of one list that the other search did not find among its best."""
    known = {chunk for chunk, _ in other}
    return [chunk for chunk, _ in ranked if chunk not in known]


class _Stages:
    """What each list says of one chunk, looked up for the few that become hits."""

    def __init__(self, **lists: Ranked) -> None:
        self._lists = lists
        self._places = {stage: {chunk: n for n, (chunk, _) in enumerate(ranked)} for stage, ranked in lists.items()}

    def of(self, chunk: int) -> dict[str, StageScore]:
        out: dict[str, StageScore] = {}
        for stage, places in self._places.items():
            if (at := places.get(chunk)) is not None:
                out[stage] = StageScore(rank=at + 1, score=self._lists[stage][at][1])
        return out


class _Stopwatch:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._at = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = round((now - self._at) * 1000, 3)
        self._at = now
