"""Keeps the indexes equal to the database: follows its generations, merges the delta, rebuilds what is missing or torn.

Any number of processes may open the same folder: the one that holds the lock writes, the others follow.
Nothing here is precious: delete the folder and the next start rebuilds it.
"""

import fcntl
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
import structlog

from data.errors import IndexDamaged, InfrastructureError
from retrieval.catalog import Catalog
from retrieval.config import IndexConfig
from retrieval.dense_index import DenseIndex, build_dense
from retrieval.errands import MERGE, REBUILD_LEXICAL, Errands
from retrieval.index_feed import Changes, Rows
from retrieval.lexical_index import LexicalIndex, LexicalRow
from retrieval.snapshot import Delta, Snapshot

log = structlog.get_logger()
OWNER_STARTS_WITHIN_S = 30
OWNER_WORKS_WITHIN_S = 900


@dataclass(frozen=True)
class Agreement:
    """Chunk ids that database, dense and lexical index hold. They agree when all three are equal."""

    database: frozenset[int]
    dense: frozenset[int]
    lexical: frozenset[int]

    @property
    def holds(self) -> bool:
        return self.database == self.dense == self.lexical


class Keeper:
    """`snapshot()` is the newest state. `active` tells which embedder's vectors to serve, as (id, dimension)."""

    def __init__(
        self,
        catalog: Catalog,
        folder: Path,
        active: Callable[[], tuple[str, int]],
        config: IndexConfig | None = None,
    ) -> None:
        self.catalog = catalog
        self.folder = folder
        self.active = active
        self.config = config or IndexConfig()
        self._errands = Errands(folder)
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._lock_file: IO[str] | None = None
        self._threads: list[threading.Thread] = []
        self._merging = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._lexical: LexicalIndex | None = None
        self._pointer: dict = {}

    # -- what searches use

    def snapshot(self) -> Snapshot:
        if self._snapshot is None:
            self.open()
        assert self._snapshot is not None
        return self._snapshot

    @property
    def lag(self) -> int:
        """Generations that the database is ahead of the snapshot."""
        return self.catalog.database.current_generation() - self.snapshot().generation

    @property
    def is_owner(self) -> bool:
        return self._lock_file is not None

    @property
    def merge_is_due(self) -> bool:
        s = self.snapshot()
        limit = max(self.config.merge_at_rows, int(self.config.merge_at_share * len(s.main_rows)))
        return len(s.delta.rows) > limit or s.n_superseded > limit or s.embedder != self.active()[0]

    # -- life

    def open(self) -> None:
        """Load or rebuild the indexes and catch up with the database. Idempotent."""
        with self._lock:
            if self._snapshot is not None:
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            self._await_pointer()
            self._lexical = self._open_lexical()
            self._snapshot = self._open_dense()
            if self.is_owner and self._snapshot.main is None and self._is_large():
                self._merge()
            self.catch_up()
            self._check_lexical()

    def start(self) -> None:
        """Follow the database in a background thread until `close()`."""
        self.open()
        thread = threading.Thread(target=self._follow, name="index-keeper", daemon=True)
        thread.start()
        self._threads.append(thread)

    def poke(self) -> None:
        """Have the background thread look for writes now."""
        self._wake.set()

    def close(self) -> None:
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            thread.join(timeout=30)
        with self._merging, self._lock:
            if self._lexical is not None:
                self._lexical.close()
            if self._lock_file is not None:
                self._lock_file.close()
                self._lock_file = None

    # -- following

    def catch_up(self) -> Snapshot:
        """Bring the snapshot to the database's newest generation (a follower: to what the owner has indexed)."""
        with self._lock:
            snapshot = self.snapshot()
            self._acquire()
            if self.is_owner:
                self._snapshot = self._advanced(snapshot)
                self._run_errands()
            else:
                self._snapshot = self._follow_owner(snapshot)
            return self._snapshot

    def merge(self) -> Snapshot:
        """Build a new main index over everything, then swap it in. Searches and writes go on meanwhile.

        A follower has the owner do it, and waits.
        """
        if not self._left_to_owner(MERGE):
            self._merge()
        return self.snapshot()

    def rebuild_lexical(self) -> None:
        """Write the lexical index anew, so that no file holds a trace of what was deleted. A follower waits for the owner."""
        if not self._left_to_owner(REBUILD_LEXICAL):
            self._rebuild_lexical()

    def agreement(self) -> Agreement:
        """Compare what the three stores hold. Used by tests, `assay doctor` and the chaos run."""
        with self._lock:
            snapshot = self.catch_up()
            return Agreement(
                frozenset(self.catalog.feed.chunk_ids()),
                frozenset(snapshot.chunk_ids()),
                frozenset(snapshot.lexical.chunk_ids()),
            )

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self.config.poll_s)
            self._wake.clear()
            if self._stop.is_set():
                return
            try:
                self.catch_up()
            except Exception:  # the next poll tries again; searches keep the last good snapshot
                log.exception("index.catch_up_failed")

    def _follow_owner(self, snapshot: Snapshot) -> Snapshot:
        pointer = self._read_pointer()
        if pointer == self._pointer and snapshot.generation >= pointer.get("lexical_generation", 0):
            return snapshot
        moved = pointer.get("dense") != self._pointer.get("dense")
        relocated = pointer.get("lexical") != self._pointer.get("lexical")
        self._pointer = pointer
        if relocated or self._lexical is None:
            self._lexical = self._open_lexical()
        self._lexical.reload()
        if moved:
            snapshot = self._open_dense()
        return self._advanced(snapshot, until=pointer.get("lexical_generation", 0))

    def _advanced(self, snapshot: Snapshot, until: int | None = None) -> Snapshot:
        while True:
            changes = self.catalog.feed.changes_since(snapshot.generation, snapshot.embedder, until=until)
            if changes.generation <= snapshot.generation:
                return snapshot
            if self.is_owner:
                self._index_lexically(changes)
            snapshot = self._applied(snapshot, changes)

    def _applied(self, snapshot: Snapshot, changes: Changes) -> Snapshot:
        gone = np.array(sorted(changes.touched), np.int64)
        alive = snapshot.main_alive
        dead = np.isin(snapshot.main_rows.content_ids, gone)
        if dead.any():
            alive = ~dead if alive is None else alive & ~dead
        return replace(
            snapshot,
            generation=changes.generation,
            main_alive=alive,
            delta=snapshot.delta.after(changes, gone),
            lexical=self._lexical.searcher(),
            _masks={},  # of rows and postings that are no longer these
        )

    def _left_to_owner(self, errand: str) -> bool:
        """Ask the owner for work on the indexes and wait until it is done; False where this process is the owner itself."""
        self.catch_up()
        if self.is_owner:
            return False
        self._errands.ask(errand)
        deadline = time.monotonic() + OWNER_WORKS_WITHIN_S
        while self._errands.wanted(errand):
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"The process that holds {self.folder / 'lock'} did not {errand} within {OWNER_WORKS_WITHIN_S} s.",
                    next_step="Look into its log, or stop it and run the same command again.",
                )
            time.sleep(0.1)
            with self._lock:
                self._acquire()
                if self.is_owner:  # it went away: the work is ours
                    return False
        self.catch_up()
        return True

    def _run_errands(self) -> None:
        if self._threads and self._errands.wanted(REBUILD_LEXICAL):
            self._rebuild_lexical()
        is_due = self.merge_is_due or self._errands.wanted(MERGE)
        if is_due and self._threads and not self._merging.locked():
            thread = threading.Thread(target=self._merge_quietly, name="index-merge", daemon=True)
            thread.start()
            self._threads = [t for t in self._threads if t.is_alive()] + [thread]

    def _merge_quietly(self) -> None:
        try:
            self._merge()
        except Exception:
            log.exception("index.merge_failed")

    # -- rebuilding

    def _merge(self) -> None:
        with self._merging:
            token = self._errands.wanted(MERGE)
            embedder, dim = self.active()
            generation, rows, vectors = self.catalog.feed.matrix(embedder, dim)
            name = f"dense-{generation}-{os.urandom(4).hex()}" if len(rows.chunk_ids) else ""
            if name:
                build_dense(vectors, rows.chunk_ids, self.config.dense, self.folder / name)
                np.save(self.folder / name / "contents.npy", rows.content_ids)
            with self._lock:
                old = self._pointer.get("dense", "")
                self._write_pointer(dense=name, dense_generation=generation, embedder=embedder)
                self._snapshot = self._advanced(self._open_dense())
            if old and old != name:
                shutil.rmtree(self.folder / old, ignore_errors=True)
            self._errands.done(MERGE, token)
            log.info("index.merged", rows=len(rows.chunk_ids), generation=generation, embedder=embedder)

    def _rebuild_lexical(self) -> None:
        with self._lock:
            token = self._errands.wanted(REBUILD_LEXICAL)
            old, self._lexical = self._lexical, self._new_lexical()
            self._snapshot = replace(self.snapshot(), lexical=self._lexical.searcher(), _masks={})
            if old is not None:
                old.close()
                shutil.rmtree(old.folder, ignore_errors=True)
            self._errands.done(REBUILD_LEXICAL, token)

    # -- lexical

    def _index_lexically(self, changes: Changes) -> None:
        if changes.generation <= self._pointer.get("lexical_generation", 0):
            return
        self._lexical.delete_contents(sorted(changes.touched))
        self._lexical.add(LexicalRow(c.id, c.content_id, c.scopes, c.heading, c.text) for c in changes.chunks)
        self._lexical.commit()
        self._write_pointer(lexical_generation=changes.generation)

    def _open_lexical(self) -> LexicalIndex:
        name = self._pointer.get("lexical")
        if name:
            try:
                return LexicalIndex.open(self.folder / name, writable=self.is_owner)
            except IndexDamaged as error:
                if not self.is_owner:
                    raise
                log.warning("index.lexical_damaged", reason=str(error))
                shutil.rmtree(self.folder / name, ignore_errors=True)
        return self._new_lexical()

    def _new_lexical(self) -> LexicalIndex:
        name = f"lexical-{os.urandom(4).hex()}"
        index = LexicalIndex.open(self.folder / name, writable=True)
        covered = 0
        while (changes := self.catalog.feed.changes_since(covered, "")).generation > covered:
            index.add(LexicalRow(c.id, c.content_id, c.scopes, c.heading, c.text) for c in changes.chunks)
            covered = changes.generation
        index.commit()
        self._write_pointer(lexical=name, lexical_generation=covered)
        return index

    def _check_lexical(self) -> None:
        if self.is_owner and self.snapshot().lexical.n_docs != self.catalog.feed.n_chunks():
            log.warning("index.lexical_rebuilt", reason="its number of chunks differs from the database's")
            self._rebuild_lexical()

    # -- dense

    def _is_large(self) -> bool:
        return self.catalog.feed.n_vectors(self.active()[0]) > 4 * self.config.merge_at_rows

    def _open_dense(self) -> Snapshot:
        embedder, dim = self.active()
        pointer = self._pointer
        name = pointer.get("dense", "")
        if name and pointer.get("embedder") == embedder:
            try:
                main = DenseIndex.open(self.folder / name)
                rows = Rows(main.chunk_ids, np.load(self.folder / name / "contents.npy", allow_pickle=False))
                if len(rows.chunk_ids) != len(rows.content_ids):
                    raise IndexDamaged(f"The index {name} has rows without contents.")
                return Snapshot(
                    embedder,
                    pointer["dense_generation"],
                    name,
                    main,
                    rows,
                    None,
                    Delta.empty(dim),
                    self._lexical.searcher(),
                )
            except (IndexDamaged, OSError, ValueError) as error:
                log.warning("index.dense_damaged", reason=str(error))
        none = np.empty(0, np.int64)
        return Snapshot(embedder, 0, "", None, Rows(none, none), None, Delta.empty(dim), self._lexical.searcher())

    # -- the lock and the pointer

    def _acquire(self) -> None:
        if self._lock_file is not None:
            return
        file = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return
        self._lock_file = file
        if self._lexical is not None:  # a follower inherits from an owner that is gone
            self._pointer = self._read_pointer()
            self._lexical = self._open_lexical()

    def _await_pointer(self) -> None:
        """A follower that comes before the owner's first write waits for it."""
        deadline = time.monotonic() + OWNER_STARTS_WITHIN_S
        while True:
            self._acquire()
            self._pointer = self._read_pointer()
            if self.is_owner or "lexical" in self._pointer:
                return
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"Another process holds {self.folder / 'lock'} and has not written an index.",
                    next_step="Stop that process, or wait until it is ready.",
                )
            time.sleep(0.1)

    def _read_pointer(self) -> dict:
        try:
            return json.loads((self.folder / "current.json").read_text())
        except (OSError, ValueError):
            return {}

    def _write_pointer(self, **changes: object) -> None:
        self._pointer = self._pointer | changes
        aside = self.folder / "current.json.new"
        with aside.open("w") as file:
            json.dump(self._pointer, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, self.folder / "current.json")
