import pytest
from sqlalchemy import func, select

from app.encoders import Encoders, EncoderSpec
from data.tables import vectors
from retrieval.catalog import Catalog
from retrieval.config import IngestConfig
from retrieval.embedding import HashingEmbedder
from retrieval.ingest import Destination, Ingester, ReadSource
from tests.databases import new_database


@pytest.fixture
def database(tmp_path):
    database = new_database(tmp_path / "assay.db")
    yield database
    database.close()


def encoders(database, built: list[str]) -> Encoders:
    def build(model: str) -> HashingEmbedder:
        built.append(model)
        return HashingEmbedder(int(model or 64))

    return Encoders(database, build)


def test_the_default_is_active_until_another_is_and_each_is_built_once(database):
    built: list[str] = []
    found = encoders(database, built)
    assert found.spec() == EncoderSpec("hashing-64", 64)
    assert found.active() is found.active()
    assert found.activate("128")
    assert found.active().dim == 128
    assert found.by_id("hashing-64").dim == 64
    assert built == ["", "128"]


def test_another_process_follows_without_a_restart(database):
    here, there = encoders(database, []), encoders(database, [])
    assert there.active().dim == 64
    here.activate("128")
    assert there.active().dim == 128
    assert there.spec() == EncoderSpec("hashing-128", 128, "128")


def test_a_model_that_has_not_embedded_everything_does_not_become_active(database):
    found = encoders(database, [])
    source = ReadSource(
        uri="wiki://a",
        title="A",
        text="Tea is free.",
        file_sha256="0" * 64,
        size_bytes=12,
        media_type="text/plain",
        groups=frozenset({"everyone"}),
        metadata={},
    )
    list(Ingester(Catalog(database), found.active, IngestConfig()).run([source], Destination("default", "default")))
    assert not found.activate("128")
    assert found.spec().id == "hashing-64"
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(vectors)).scalar_one() == 1
