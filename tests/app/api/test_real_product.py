"""The API over the real product (hashing embedder): what goes in by HTTP is found, listed, read and deleted by HTTP."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.api.service import Product
from app.assay import Assay, Stores
from app.encoders import Encoders
from app.keys import KeyStore
from app.settings import Settings
from app.wiring import build_rag
from data.reading import Reader
from retrieval.catalog import Catalog
from retrieval.config import IndexConfig, IngestConfig, SearchConfig
from retrieval.embedding import HashingEmbedder
from retrieval.ingest import Ingester
from retrieval.keeper import Keeper
from tests.app.api.conftest import local_client
from tests.databases import new_database

TEXT = "# Leave\n\nParents get eighty days of leave.\n\n# Tea\n\nTea is free in every kitchen.\n"


@pytest.fixture
def real_product(tmp_path) -> Iterator[Product]:
    database = new_database(tmp_path / "assay.db")
    catalog, embedder = Catalog(database), HashingEmbedder()
    encoders = Encoders(database, lambda model: embedder)
    keeper = Keeper(catalog, tmp_path / "index", lambda: (embedder.id, embedder.dim), IndexConfig())
    stores = Stores(
        database=database,
        catalog=catalog,
        keeper=keeper,
        encoders=encoders,
        ingester=Ingester(catalog, encoders.active, IngestConfig()),
        reader=Reader(),
        search=SearchConfig(),
        var=tmp_path,
        make_rag=lambda opened: build_rag(Settings(home=tmp_path), opened),
    )
    assay = Assay(stores)
    assay.start()
    yield Product(assay=assay, keys=KeyStore(database), embedder=lambda: assay.embedder.id)
    assay.close()


@pytest.fixture
def real_client(real_product) -> Iterator[TestClient]:
    with local_client(real_product) as client:
        yield client


def test_a_document_is_found_as_soon_as_it_is_acknowledged_and_gone_when_deleted(real_client):
    (added,) = real_client.post("/v1/documents", json={"uri": "wiki://leave", "text": TEXT}).json()["data"]
    hits = real_client.post("/v1/search", json={"query": "days of leave for parents", "k": 3}).json()["hits"]
    assert hits[0]["chunk"]["document_id"] == added["id"]
    text = real_client.get(f"/v1/documents/{added['id']}").json()["text"]
    assert text[hits[0]["chunk"]["start"] : hits[0]["chunk"]["end"]] == hits[0]["chunk"]["text"]
    assert [d["id"] for d in real_client.get("/v1/documents").json()["data"]] == [added["id"]]
    assert real_client.get("/v1/collections").json()["data"] == [{"name": "default", "n_documents": 1}]
    assert real_client.delete(f"/v1/documents/{added['id']}").status_code == 204
    assert real_client.post("/v1/search", json={"query": "leave"}).json()["hits"] == []


def test_the_same_upload_again_changes_nothing(real_client):
    for status in ("added", "unchanged"):
        files = [("files", ("leave.md", TEXT.encode()))]
        (document,) = real_client.post("/v1/documents", files=files).json()["data"]
        assert document["status"] == status


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(real_client):
    response = real_client.post("/v1/documents", files=[("files", ("tool.exe", b"MZ\x00\x01"))])
    assert response.status_code == 422
    assert response.json()["error"]["code"]


def test_a_key_sees_neither_another_tenants_documents_nor_another_groups(real_product, real_client):
    def key(**options) -> dict[str, str]:
        scopes = ["read", "write", "admin"]
        return {"authorization": f"Bearer {real_product.keys.create('k', scopes=scopes, **options)[1]}"}

    hr, eng, other = key(groups=["hr"]), key(groups=["eng"]), key(tenant="other", groups=["hr"])
    new = {"uri": "wiki://leave", "text": TEXT, "groups": ["hr"]}
    (added,) = real_client.post("/v1/documents", json=new, headers=hr).json()["data"]
    for headers, n_seen in ((hr, 1), (eng, 0), (other, 0)):
        hits = real_client.post("/v1/search", json={"query": "leave"}, headers=headers).json()["hits"]
        assert bool(hits) == bool(n_seen)
        assert len(real_client.get("/v1/documents", headers=headers).json()["data"]) == n_seen
        assert real_client.get(f"/v1/documents/{added['id']}", headers=headers).status_code == (200 if n_seen else 404)
        if not n_seen:
            assert real_client.delete(f"/v1/documents/{added['id']}", headers=headers).status_code == 404
