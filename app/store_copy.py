"""Copies one tenant's collection into another database, row by row: texts, chunks and vectors, and nothing about users."""

from sqlalchemy import Table, delete, insert, select, update

from app.encoders import STATE
from data.database import Database
from data.tables import chunks, contents, documents, generation, scopes, state, vectors

BATCH = 1000


def copy_collection(source: Database, target: Database, tenant: str, collection: str | None) -> int:
    """Fill an empty `target`; returns the number of documents. Embeddings come along, so nothing is computed again."""
    wanted = documents.c.tenant == tenant
    if collection is not None:
        wanted &= documents.c.collection == collection
    held = select(documents.c.content_id).where(wanted)
    chosen = {
        scopes: scopes.c.id.in_(select(documents.c.scope_id).where(wanted)),
        contents: contents.c.id.in_(held),
        documents: wanted,
        chunks: chunks.c.content_id.in_(held),
        vectors: vectors.c.chunk_id.in_(select(chunks.c.id).where(chunks.c.content_id.in_(held))),
        state: state.c.name == STATE,
    }
    n_copied: dict[Table, int] = {}
    with source.read() as reading, target.append() as writing:
        writing.execute(delete(state).where(state.c.name == STATE))
        for table, condition in chosen.items():
            n_copied[table] = 0
            found = reading.execution_options(yield_per=BATCH).execute(select(table).where(condition))
            for rows in found.mappings().partitions(BATCH):
                writing.execute(insert(table), [dict(row) for row in rows])
                n_copied[table] += len(rows)
        writing.execute(update(generation).values(value=source.generation_in(reading)))
    return n_copied[documents]
