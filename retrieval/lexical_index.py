"""BM25 over chunks on tantivy: incremental, on disk, filtered inside the search. Knows nothing of vectors or databases.

One process writes (`writable=True`), others open the same folder to read and call `reload()`. Searchers are immutable.
The index is derived: whatever raises IndexDamaged is rebuilt from the database by the caller.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import tantivy
from tantivy import Occur, Query

from data.errors import IndexDamaged, InfrastructureError
from retrieval.lexical_analysis import ANALYSER, document_analyser, query_weights

WRITER_HEAP_BYTES = 32_000_000
TIES_READ = 32  # read this far beyond k at first, so that equal scores can be sorted by chunk id
FILTER_TERMS = 500
FILTER_MARGIN = 2  # read this many times as far as the share of allowed contents suggests
SCORE_DECIMALS = 4  # the order of float additions depends on the query plan: the last digits are noise


Hit = tuple[float, tantivy.DocAddress]


@dataclass(frozen=True)
class LexicalRow:
    """A chunk as indexed. `scopes` are the ids of all scopes with a document that holds its content."""

    chunk_id: int
    content_id: int
    scopes: Collection[int]
    title: str
    text: str


class LexicalIndex:
    """Made by `open()`. Writes become visible with `commit()`, in this order: `delete_contents`, `add`, `commit`."""

    def __init__(self, folder: Path, index: tantivy.Index, writer: tantivy.IndexWriter | None) -> None:
        self.folder = folder
        self._index = index
        self._writer = writer
        self.reload()

    @classmethod
    def open(cls, folder: Path, *, writable: bool = False) -> "LexicalIndex":
        """Open the index in `folder`; a writer makes an empty one where there is none.

        Raises: IndexDamaged when it is missing, torn or made with another schema or analyser; InfrastructureError when
        another process writes to it.
        """
        folder = Path(folder)
        if writable:
            folder.mkdir(parents=True, exist_ok=True)
        elif not (folder / "meta.json").exists():
            raise IndexDamaged(f"There is no lexical index in {folder}.")
        try:
            index = tantivy.Index(_schema(), path=str(folder))
            index.register_tokenizer(ANALYSER, document_analyser())
            index.config_reader("manual")
            writer = index.writer(WRITER_HEAP_BYTES, num_threads=1) if writable else None
            return cls(folder, index, writer)
        except (ValueError, OSError) as error:
            if "LockBusy" in str(error) or "Lockfile" in str(error):
                raise InfrastructureError(
                    f"Another process writes to the lexical index in {folder}.",
                    next_step="Stop it, or open the index without writable=True.",
                ) from error
            raise IndexDamaged(f"The lexical index in {folder} cannot be opened: {error}") from error

    def add(self, rows: Iterable[LexicalRow]) -> None:
        """Index rows; a chunk that is there already is replaced."""
        for row in rows:
            self._open_writer().delete_documents_by_term("chunk", row.chunk_id)
            document = tantivy.Document()
            document.add_integer("chunk", row.chunk_id)
            document.add_integer("content", row.content_id)
            for scope in row.scopes:
                document.add_integer("scope", scope)
            document.add_text("body", f"{row.title}\n{row.text}" if row.title else row.text)
            self._open_writer().add_document(document)

    def delete_contents(self, content_ids: Iterable[int]) -> None:
        """Delete all chunks of these contents. Unknown ids are none's concern."""
        for content_id in content_ids:
            self._open_writer().delete_documents_by_term("content", content_id)

    def commit(self) -> None:
        """Make the writes durable and visible to the searchers taken from now on."""
        try:
            self._open_writer().commit()
        except (ValueError, OSError) as error:
            raise InfrastructureError(
                f"The lexical index in {self.folder} could not be written: {error}",
                next_step="Check that the disk is not full and that the folder is writable.",
            ) from error
        self.reload()

    def reload(self) -> None:
        """See what has been committed, also by another process. Raises: IndexDamaged."""
        try:
            segments = _segments(self.folder)
            while True:  # a background merge may put other segments in place meanwhile
                self._index.reload()
                searcher = self._index.searcher()
                before, segments = segments, _segments(self.folder)
                if before == segments:
                    break
        except (ValueError, OSError, KeyError) as error:
            raise IndexDamaged(f"The lexical index in {self.folder} cannot be read: {error}") from error
        self._searcher = LexicalSearcher(self._index.schema, searcher, segments)

    def searcher(self) -> "LexicalSearcher":
        """The newest state that `commit()` or `reload()` has seen."""
        return self._searcher

    def close(self) -> None:
        """Let running merges finish and release the write lock. Searchers stay usable. Idempotent."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.wait_merging_threads()

    def _open_writer(self) -> tantivy.IndexWriter:
        if self._writer is None:
            raise InfrastructureError(
                f"The lexical index in {self.folder} is open for reading only.",
                next_step="Open it with writable=True.",
            )
        return self._writer


class LexicalSearcher:
    """One immutable state of the index. `state_id` changes whenever scores could, so also after a merge."""

    def __init__(self, schema: tantivy.Schema, searcher: tantivy.Searcher, segments: list[dict]) -> None:
        self._schema = schema
        self._searcher = searcher
        self._n_rows = sum(s["max_doc"] for s in segments)  # with those that are deleted but not merged away
        self.state_id = hashlib.sha256(json.dumps(segments, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def n_docs(self) -> int:
        return self._searcher.num_docs

    def search(
        self,
        text: str,
        k: int,
        *,
        scopes: Collection[int] | None = None,
        contents: Collection[int] | None = None,
    ) -> list[tuple[int, float]]:
        """Return up to k (chunk id, BM25 score), best first, equal scores by id. Any text is safe: it has no syntax.

        Only chunks in one of `scopes` and of one of `contents` are found (None: no condition). A filter leaves
        scores as they are. BM25 with k1 = 1.2, b = 0.75 (Robertson & Zaragoza 2009, eq. 3.15), which tantivy fixes.
        """
        terms = [self._term(stem, weight) for stem, weight in query_weights(text).items()]
        if not terms or k < 1 or not self.n_docs:
            return []
        query = Query.boolean_query(terms)
        if contents is not None and self._is_broad(contents):
            depth = FILTER_MARGIN * k * self._n_rows // len(contents)
            hits = self._run(self._within(query, scopes, None), depth)
            found = self._allowed(hits, frozenset(contents))
            if len(hits) < depth or (len(found) >= k and not _is_tie(found[k - 1], hits[-1])):
                return self._ranked(found, k)
        return self._best(self._within(query, scopes, contents), k)

    def scores(self, text: str, chunk_ids: Collection[int]) -> dict[int, float]:
        """Return the BM25 score of given chunks; those that share no term with `text` are left out."""
        terms = [self._term(stem, weight) for stem, weight in query_weights(text).items()]
        if not terms or not chunk_ids:
            return {}
        among = Query.const_score_query(Query.term_set_query(self._schema, "chunk", list(chunk_ids)), 0.0)
        query = Query.boolean_query([(Occur.Must, Query.boolean_query(terms)), (Occur.Must, among)])
        return dict(self._ranked(self._run(query, len(chunk_ids)), len(chunk_ids)))

    def chunk_ids(self) -> set[int]:
        """Every chunk in this state, to be compared with the database."""
        if not self.n_docs:
            return set()
        return set(self._values("chunk", self._run(Query.all_query(), self.n_docs)))

    def _best(self, query: Query, k: int) -> list[tuple[int, float]]:
        """The best k; reads on until every chunk that ties with the last of them is known."""
        limit = k + TIES_READ
        while len(hits := self._run(query, limit)) == limit and _is_tie(hits[k - 1], hits[-1]):
            limit *= 8
        return self._ranked(hits, k)

    def _run(self, query: Query, limit: int) -> list[Hit]:
        try:
            return self._searcher.search(query, limit, count=False).hits
        except (ValueError, OSError) as error:
            raise IndexDamaged(f"The lexical index cannot be read: {error}") from error

    def _values(self, field: str, hits: list[Hit]) -> list[int]:
        return self._searcher.fast_field_values(field, [address for _, address in hits])

    def _ranked(self, hits: list[Hit], k: int) -> list[tuple[int, float]]:
        pairs = zip(self._values("chunk", hits), hits, strict=True)
        found = [(chunk, _score(hit)) for chunk, hit in pairs]
        return sorted(found, key=lambda hit: (-hit[1], hit[0]))[:k]

    def _allowed(self, hits: list[Hit], contents: frozenset[int]) -> list[Hit]:
        return [hit for hit, content in zip(hits, self._values("content", hits), strict=True) if content in contents]

    def _term(self, stem: str, weight: float) -> tuple[Occur, Query]:
        return Occur.Should, Query.boost_query(Query.term_query(self._schema, "body", stem, "freq"), weight)

    def _within(self, query: Query, scopes: Collection[int] | None, contents: Collection[int] | None) -> Query:
        """Join `query` with conditions of constant score 0, so that they take no part in the ranking."""
        conditions = []
        if scopes is not None and not any(self._covers_all(scope) for scope in scopes):
            conditions.append(Query.term_set_query(self._schema, "scope", list(scopes)))
        if contents is not None:
            conditions.append(Query.term_set_query(self._schema, "content", list(contents)))
        if not conditions:
            return query
        must = [query, *(Query.const_score_query(condition, 0.0) for condition in conditions)]
        return Query.boolean_query([(Occur.Must, part) for part in must])

    def _is_broad(self, contents: Collection[int]) -> bool:
        """Whether reading further down the unfiltered ranking is cheaper than a condition with this many terms.

        Scores don't depend on the filter, so both find the same; a condition costs about 2.5 microseconds a term.
        """
        return len(contents) > FILTER_TERMS and len(contents) * 100 > self._n_rows

    def _covers_all(self, scope: int) -> bool:
        """Whether every row, even each deleted one, is in `scope`: then the condition says nothing and costs time."""
        return self._searcher.doc_freq("scope", scope) == self._n_rows


def _score(hit: Hit) -> float:
    return round(hit[0], SCORE_DECIMALS)


def _is_tie(a: Hit, b: Hit) -> bool:
    return _score(a) == _score(b)


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field("chunk", indexed=True, fast=True)
    builder.add_integer_field("content", indexed=True, fast=True)
    builder.add_integer_field("scope", indexed=True)
    builder.add_text_field("body", tokenizer_name=ANALYSER, index_option="freq")
    return builder.build()


def _segments(folder: Path) -> list[dict]:
    """What the searches' scores depend on: the segments with their sizes and deletes, in order."""
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    return [{name: s[name] for name in ("segment_id", "max_doc", "deletes")} for s in meta["segments"]]
