"""`retrieve()`: the whole of a search in one readable function."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.records import Hit, Query, SearchMode, SearchResult, StageScore
from retrieval.access import Access
from retrieval.catalog import Catalog
from retrieval.config import SearchConfig
from retrieval.fusion import FusionConfig, contenders, fuse
from retrieval.neighbours import neighbour_scores
from retrieval.snapshot import Ranked, Snapshot

EmbedQuery = Callable[[str], NDArray[np.float32]]


@dataclass(frozen=True)
class Searcher:
    """What a search needs besides the query and the snapshot."""

    catalog: Catalog
    embed: EmbedQuery
    config: SearchConfig
    asks_neighbours: bool = False
    """Whether hits of a hybrid search carry what their neighbours say of them: for `retrieval.reranking`."""


def retrieve(query: Query, snapshot: Snapshot, searcher: Searcher) -> SearchResult:
    """Return the best `query.k` chunks that the principal may read, best first."""
    watch = _Stopwatch()
    config, depth = searcher.config, max(query.k, searcher.config.candidates)
    access = searcher.catalog.access(query, snapshot.generation)
    lists: dict[str, Ranked] = {}
    if query.mode is not SearchMode.DENSE:
        lists["lexical"] = snapshot.search_lexical(query.text, depth, access)
        watch.lap("lexical")
    if query.mode is not SearchMode.LEXICAL:
        vector = searcher.embed(query.text)
        watch.lap("embed")
        lists["dense"] = snapshot.search_dense(vector, depth, access)
        watch.lap("dense")
    if query.mode is not SearchMode.HYBRID:
        hits = _fetched(query, access, searcher.catalog, lists)
    else:
        both = _Both(query.text, vector, snapshot, lists["lexical"], lists["dense"], config.fusion)
        fused = both.first(query.k)
        watch.lap("fusion")
        if searcher.asks_neighbours:
            lists["neighbours"] = both.neighbours(fused[: query.k])
            watch.lap("neighbours")
        lists["fusion"] = fused
        hits = _fetched(query, access, searcher.catalog, lists)
        if len(hits) < query.k:  # some left the database since the snapshot was made: others move up
            lists["fusion"] = both.first(2 * depth)
            hits = _fetched(query, access, searcher.catalog, lists)
    watch.lap("fetch")
    return SearchResult(hits=tuple(hits), snapshot_id=snapshot.id, timings_ms=watch.laps)


@dataclass(frozen=True)
class _Both:
    """What the two searches found for one question, ranked by both scores."""

    text: str
    vector: NDArray[np.float32]
    snapshot: Snapshot
    lexical: Ranked
    dense: Ranked
    config: FusionConfig

    def first(self, k: int) -> Ranked:
        """The fused ranking, right in its first `k`; what cannot be among those is left out or stands behind them."""
        lexical, dense = dict(self.lexical), dict(self.dense)
        among = contenders(lexical, dense, k, self.config)
        lexical |= self.snapshot.lexical_scores(self.text, [chunk for chunk in among if chunk not in lexical])
        dense |= self.snapshot.dense_scores(self.vector, [chunk for chunk in among if chunk not in dense])
        return fuse(lexical, dense, among=among, config=self.config)

    def neighbours(self, fused: Ranked) -> Ranked:
        """What speaks for each of the fused by its neighbours, best first."""
        vectors, _ = self.snapshot.vectors_of([chunk for chunk, _ in fused])
        scores = neighbour_scores(np.array([score for _, score in fused]), vectors, self.snapshot.background)
        found = [(chunk, round(float(score), 4)) for (chunk, _), score in zip(fused, scores, strict=True)]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))


def _fetched(query: Query, access: Access, catalog: Catalog, lists: dict[str, Ranked]) -> list[Hit]:
    """The first hits of the last list, each with what every list says of it."""
    *_, ranked = lists.values()
    places = {stage: {chunk: n for n, (chunk, _) in enumerate(found)} for stage, found in lists.items()}

    def stages_of(chunk: int) -> dict[str, StageScore]:
        held = {stage: at[chunk] for stage, at in places.items() if chunk in at}
        return {stage: StageScore(rank=at + 1, score=lists[stage][at][1]) for stage, at in held.items()}

    return catalog.hits(ranked, access, query.k, stages_of)


class _Stopwatch:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._at = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = round((now - self._at) * 1000, 3)
        self._at = now
