"""Searches of an opened product: as the fusion ranks, and in the order that answers are made from. Knows no answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from data.errors import InvalidInput
from data.records import Query, SearchResult
from retrieval.catalog import Catalog
from retrieval.config import SearchConfig
from retrieval.embedding import Vectors
from retrieval.reranking import Reranker, rerank
from retrieval.search import Searcher, retrieve

if TYPE_CHECKING:
    from retrieval.snapshot import Snapshot


@dataclass(frozen=True)
class Searches:
    """`embed(embedder id, question)` returns the question's vector; `reranker` is None where nothing is reranked."""

    catalog: Catalog
    snapshot: Callable[[], "Snapshot"]
    embed: Callable[[str, str], Vectors]
    config: SearchConfig
    reranker: Reranker | None

    def search(self, query: Query) -> SearchResult:
        """The best chunks the principal may read, reranked where the settings want it of every search.

        Raises: InvalidInput for an empty question.
        """
        return self.reranked(query) if self.config.reranked == "everything" else self.retrieve(query)

    def reranked(self, query: Query) -> SearchResult:
        """The best chunks in the order that answers are made from. Raises: InvalidInput."""
        if self.reranker is None:
            return self.retrieve(query)
        depth = max(query.k, self.config.rerank)
        result = self.retrieve(query.model_copy(update={"k": depth}), asks_neighbours=True)
        hits = rerank(query.text, result.hits, self.reranker, query.k, self.config.reads)
        return result.model_copy(update={"hits": hits})

    def retrieve(self, query: Query, *, asks_neighbours: bool = False) -> SearchResult:
        """`search` without the reranker; `asks_neighbours` where one follows. Raises: InvalidInput."""
        if not query.text.strip():
            raise InvalidInput("The query is empty.", field="query", next_step="Write a question or some words.")
        snapshot = self.snapshot()
        searcher = Searcher(
            self.catalog, lambda text: self.embed(snapshot.embedder, text), self.config, asks_neighbours
        )
        return retrieve(query, snapshot, searcher)
