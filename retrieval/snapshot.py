"""One immutable state of the indexes. Searches hold a snapshot; writes make a new one and never touch the old."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.access import Access
from retrieval.embedding import Vectors
from retrieval.index_feed import Changes, Rows

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Ranked = list[tuple[int, float]]
MASKS_KEPT = 64
BACKGROUND = 400


class LexicalSearcher(Protocol):
    state_id: str

    def search(
        self, text: str, k: int, *, scopes: Collection[int] | None, contents: Collection[int] | None
    ) -> Ranked: ...

    def scores(self, text: str, chunk_ids: Collection[int]) -> dict[int, float]: ...


class MainIndex(Protocol):
    chunk_ids: Ids

    def search(
        self, query: NDArray[np.float32], k: int, *, allowed: Mask | None
    ) -> tuple[Ids, NDArray[np.float32]]: ...

    def vectors_of(self, chunk_ids: Ids) -> Vectors: ...

    def held(self, chunk_ids: Ids) -> Mask: ...


@dataclass(frozen=True)
class Delta:
    """Chunks newer than the main index, searched exactly: float32 [n, dim]."""

    rows: Rows
    vectors: Vectors

    @staticmethod
    def empty(dim: int) -> "Delta":
        none = np.empty(0, np.int64)
        return Delta(Rows(none, none), np.empty((0, dim), np.float32))

    def after(self, changes: Changes, gone: Ids) -> "Delta":
        keep = ~np.isin(self.rows.content_ids, gone)
        new = [c for c in changes.chunks if c.vector is not None]
        dim = self.vectors.shape[1]
        vectors = np.frombuffer(b"".join(c.vector for c in new), np.float16).reshape(-1, dim).astype(np.float32)
        rows = Rows(
            np.concatenate([self.rows.chunk_ids[keep], np.array([c.id for c in new], np.int64)]),
            np.concatenate([self.rows.content_ids[keep], np.array([c.content_id for c in new], np.int64)]),
        )
        return Delta(rows, np.concatenate([self.vectors[keep], vectors]))


@dataclass(frozen=True)
class Snapshot:
    """`generation` is the database generation covered; `main_alive` is False for rows that a later write superseded."""

    embedder: str
    generation: int
    main_name: str
    main: MainIndex | None
    main_rows: Rows
    main_alive: Mask | None
    delta: Delta
    lexical: LexicalSearcher
    _masks: dict[tuple[Any, ...], tuple[Mask | None, Mask | None]] = field(default_factory=dict, compare=False)

    @property
    def id(self) -> str:
        """Equal ids mean bit-identical results for the same query."""
        parts = (self.embedder, self.main_name, str(self.generation), self.lexical.state_id)
        return "snap_" + hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:16]

    @property
    def n_chunks(self) -> int:
        alive = len(self.main_rows) if self.main_alive is None else int(self.main_alive.sum())
        return alive + len(self.delta.rows)

    @property
    def n_superseded(self) -> int:
        return 0 if self.main_alive is None else int((~self.main_alive).sum())

    def search_lexical(self, text: str, k: int, access: Access) -> Ranked:
        """BM25, best first. The filter is part of the query, so k results are k allowed results."""
        if access.contents is not None and len(access.contents) == 0:
            return []
        if access.filters:
            return self.lexical.search(text, k, scopes=None, contents=access.contents.tolist())
        return self.lexical.search(text, k, scopes=access.scopes, contents=None)

    def search_dense(self, query: NDArray[np.float32], k: int, access: Access) -> Ranked:
        """Inner product, best first: the main index and the exact delta, both filtered inside the search."""
        main_mask, delta_mask = self._mask(access)
        found: Ranked = []
        if self.main is not None:
            ids, scores = self.main.search(query, k, allowed=main_mask)
            found += zip(ids.tolist(), scores.tolist(), strict=True)
        if len(self.delta.rows):
            scores = self.delta.vectors @ query
            if delta_mask is not None:
                scores = np.where(delta_mask, scores, -np.inf)
            best = np.argsort(-scores, kind="stable")[:k] if len(scores) <= 4 * k else _top(scores, k)
            found += [(int(self.delta.rows.chunk_ids[i]), float(scores[i])) for i in best if scores[i] > -np.inf]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:k]

    def lexical_scores(self, text: str, chunk_ids: Collection[int]) -> dict[int, float]:
        """BM25 of given chunks, for those that a lexical search did not return; without a common term none."""
        return self.lexical.scores(text, chunk_ids)

    def dense_scores(self, query: NDArray[np.float32], chunk_ids: list[int]) -> dict[int, float]:
        """Inner products of given chunks, for those that a dense search did not return."""
        vectors, held = self.vectors_of(chunk_ids)
        scores = vectors @ query
        return {chunk: float(score) for chunk, score, is_held in zip(chunk_ids, scores, held, strict=True) if is_held}

    def vectors_of(self, chunk_ids: Sequence[int]) -> tuple[Vectors, Mask]:
        """The stored vectors, float32 [len(chunk_ids), dim], and which chunks have one; the others' rows are zeros."""
        wanted = np.array(chunk_ids, np.int64)
        out = np.zeros((len(wanted), self.delta.vectors.shape[1]), np.float32)
        held = np.zeros(len(wanted), bool)
        new = self.delta.rows.chunk_ids
        if len(new) and len(wanted):
            order = np.argsort(new, kind="stable")
            rows = order[np.minimum(np.searchsorted(new, wanted, sorter=order), len(new) - 1)]
            held = new[rows] == wanted
            out[held] = self.delta.vectors[rows[held]]
        if self.main is not None:
            old = ~held
            old[old] = self.main.held(wanted[old])
            out[old] = self.main.vectors_of(wanted[old])
            held |= old
        return out, held

    @cached_property
    def background(self) -> Vectors:
        """Up to `BACKGROUND` vectors from all over the index, whoever may read their chunks: what is common to all that is stored."""
        ids = sorted(self.chunk_ids())
        at = np.linspace(0, len(ids) - 1, min(BACKGROUND, len(ids))).astype(int)
        return self.vectors_of([ids[i] for i in at])[0]

    def chunk_ids(self) -> set[int]:
        alive = self.main_rows.chunk_ids if self.main_alive is None else self.main_rows.chunk_ids[self.main_alive]
        return set(alive.tolist()) | set(self.delta.rows.chunk_ids.tolist())

    def _mask(self, access: Access) -> tuple[Mask | None, Mask | None]:
        if access.contents is None:
            return self.main_alive, None
        if (cached := self._masks.get(access.key)) is not None:
            return cached
        main = np.isin(self.main_rows.content_ids, access.contents)
        if self.main_alive is not None:
            main &= self.main_alive
        masks = (main, np.isin(self.delta.rows.content_ids, access.contents))
        if len(self._masks) >= MASKS_KEPT:
            self._masks.clear()
        self._masks[access.key] = masks
        return masks


def _top(scores: NDArray[np.float32], k: int) -> Ids:
    best = np.argpartition(-scores, k)[: k + 1]
    return best[np.lexsort((best, -scores[best]))][:k]
