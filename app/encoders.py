"""Which embedding model is active. The database decides, so that every process agrees and a change needs no restart."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import delete, exists, insert, select

from data.database import Database
from data.tables import chunks, state, vectors
from retrieval.embedding import Embedder

STATE = "embedder"


@dataclass(frozen=True)
class EncoderSpec:
    """`model` is empty for the built-in encoder, else a Hugging Face id or a local path."""

    id: str
    dim: int
    model: str = ""


class Encoders:
    """Builds encoders on demand and keeps them; `build(model)` makes one from a spec's model."""

    def __init__(self, database: Database, build: Callable[[str], Embedder], default_model: str = "") -> None:
        self.database = database
        self._build = build
        self._default = default_model
        self._loaded: dict[str, Embedder] = {}

    def active(self) -> Embedder:
        spec = self.spec()
        return self.load(spec.model)

    def by_id(self, identity: str) -> Embedder:
        """The encoder of a snapshot: the active one, or the one that was active before."""
        for encoder in self._loaded.values():
            if encoder.id == identity:
                return encoder
        return self.active()

    def load(self, model: str) -> Embedder:
        if model not in self._loaded:
            self._loaded[model] = self._build(model)
        return self._loaded[model]

    def spec(self) -> EncoderSpec:
        with self.database.read() as connection:
            value = connection.execute(select(state.c.value).where(state.c.name == STATE)).scalar_one_or_none()
        if value is not None:
            return EncoderSpec(**value)
        encoder = self.load(self._default)
        return EncoderSpec(encoder.id, encoder.dim, self._default)

    def activate(self, model: str) -> bool:
        """Make `model` the active one for every process, and drop the vectors of the one before.

        Returns False, having changed nothing, while any chunk lacks a vector of `model`.
        """
        encoder = self.load(model)
        spec = EncoderSpec(encoder.id, encoder.dim, model)
        has_vector = exists().where(vectors.c.chunk_id == chunks.c.id, vectors.c.embedder == spec.id)
        with self.database.write() as write:
            if write.connection.execute(select(chunks.c.id).where(~has_vector).limit(1)).first():
                return False
            write.connection.execute(delete(state).where(state.c.name == STATE))
            write.connection.execute(insert(state).values(name=STATE, value=vars(spec)))
            write.connection.execute(delete(vectors).where(vectors.c.embedder != spec.id))
        return True
