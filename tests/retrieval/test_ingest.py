from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from data.errors import InfrastructureError, RefusedDocument
from retrieval.chunking import ChunkingConfig
from retrieval.config import IngestConfig
from retrieval.embedding import HashingEmbedder
from retrieval.ingest import Destination, Ingester, IngestEvent, embed_missing
from tests.retrieval.conftest import source

TO = Destination("default", "c")
SHORT = ChunkingConfig(max_tokens=16, overlap_tokens=0, min_tokens=0)
LONG = " ".join(f"word{n}" for n in range(90))


def ingester(library, **config) -> Ingester:
    return Ingester(library.catalog, lambda: library.embedder, IngestConfig(**config))


def test_an_event_comes_only_after_its_document_is_stored(library):
    sources = (source(f"d{n}", f"topic{n}") for n in range(10))
    for event in ingester(library, batch_documents=3).run(sources, TO):
        assert event.status == "added"
        assert 0 < event.generation <= library.database.current_generation()
        assert library.catalog.fingerprint("default", "c", event.uri) is not None


def test_documents_are_committed_in_batches_each_one_generation(library):
    events = list(ingester(library, batch_documents=4).run((source(f"d{n}", f"topic{n}") for n in range(10)), TO))
    assert sorted(Counter(e.generation for e in events).values()) == [2, 4, 4]


def test_refusals_pass_through_and_store_nothing(library):
    refused = IngestEvent.refused("bad", RefusedDocument("It is bad.", reason="corrupt", next_step="Mend it."))
    events = list(ingester(library).run([source("a", "alpha"), refused, source("b", "beta")], TO))
    assert {e.uri: e.status for e in events} == {"a": "added", "bad": "refused", "b": "added"}
    (event,) = [e for e in events if e.uri == "bad"]
    assert (event.reason, event.message, event.next_step) == ("corrupt", "It is bad.", "Mend it.")


def test_leaving_early_keeps_what_was_acknowledged(library):
    run = ingester(library, batch_documents=2).run((source(f"d{n}", f"topic{n}") for n in range(100)), TO)
    acknowledged = [next(run).uri for _ in range(4)]
    run.close()
    stored = library.catalog.uris("default", "c", "d")
    assert set(acknowledged) <= set(stored)
    assert len(stored) < 100
    assert library.keeper.agreement().holds


def test_one_text_under_many_names_is_embedded_once(library):
    embedded: list[str] = []
    embed = library.embedder.embed
    library.embedder.embed = lambda texts, kind="document": embedded.extend(texts) or embed(texts, kind=kind)
    list(ingester(library).run([source("a", "same words")], TO))
    list(ingester(library).run([source(f"copy{n}", "same words") for n in range(5)], TO))
    assert len(embedded) == 1
    assert len(library.catalog.uris("default", "c", "")) == 6


def test_a_known_text_that_is_removed_before_the_commit_is_embedded_after_all(library):
    list(ingester(library).run([source("a", "same words")], TO))
    ours = ingester(library)
    known = library.catalog.known_texts

    def known_then_removed(*args):
        found = known(*args)
        list(ours.remove({"a": library.catalog.id_of("default", "c", "a")}))  # another process, at the worst moment
        return found

    library.catalog.known_texts = known_then_removed
    assert [e.status for e in ours.run([source("b", "same words")], TO)] == ["added"]
    library.keeper.catch_up()
    assert library.found("same words") == ["b"]
    assert library.keeper.agreement().holds


def test_a_change_of_model_during_an_ingest_stops_it_and_stores_no_mixture(library):
    old, new = library.embedder, HashingEmbedder(32)
    answers = iter([old, new, new, new])
    changing = Ingester(library.catalog, lambda: next(answers), IngestConfig())
    with pytest.raises(InfrastructureError, match="changed during this ingest") as caught:
        list(changing.run([source("a", "alpha")], TO))
    assert "again" in caught.value.next_step
    assert library.catalog.uris("default", "c", "") == {}


def test_unchanged_means_same_bytes_same_groups_the_same_given_metadata_and_the_same_cutting(library):
    ours = ingester(library)
    metadata = {"year": 2026, "from": "the mail itself"}
    stored = replace(source("a", "alpha", ["x"], metadata), given={"year": 2026})
    list(ours.run([stored], TO))
    groups, digest, year = frozenset({"x"}), stored.file_sha256, {"year": 2026}
    assert ours.is_unchanged(TO, "a", digest, groups, year)
    assert not ours.is_unchanged(TO, "a", digest, groups, {})
    assert not ours.is_unchanged(TO, "a", digest, groups, {"year": 2025})
    assert not ours.is_unchanged(TO, "a", digest, frozenset({"y"}), year)
    assert not ours.is_unchanged(TO, "a", "0" * 64, groups, year)
    assert not ours.is_unchanged(TO, "b", digest, groups, year)
    assert not ours.is_unchanged(Destination("default", "other"), "a", digest, groups, year)
    assert not ingester(library, chunking=SHORT).is_unchanged(TO, "a", digest, groups, year)


def test_an_ingest_with_other_chunking_settings_cuts_the_text_of_every_source_anew(library):
    list(ingester(library).run([source("a", LONG), source("b", LONG)], TO))
    library.keeper.catch_up()
    (event,) = ingester(library, chunking=SHORT).run([source("a", LONG)], TO)
    library.keeper.catch_up()
    assert (event.status, event.n_chunks) == ("updated", library.catalog.feed.n_chunks())
    assert event.n_chunks > 4
    assert {s.uri for s in library.search("word17").hits[0].sources} == {"a", "b"}
    assert library.keeper.agreement().holds


def test_stored_texts_are_cut_anew_in_steps_that_resume(library):
    texts = {f"d{n}": f"topic{n} " + LONG for n in range(40)}
    list(ingester(library).run([source(uri, text) for uri, text in texts.items()], TO))
    short = ingester(library, chunking=SHORT)
    assert short.n_cut_otherwise == 40
    steps = short.recut()
    assert next(steps) == 32
    steps.close()
    assert list(short.recut()) == [8]
    assert (short.n_cut_otherwise, ingester(library).n_cut_otherwise) == (0, 40)
    library.keeper.catch_up()
    assert library.found("topic7")[0] == "d7"
    assert max(len(hit.chunk.text.split()) for hit in library.search("word17").hits) <= 16
    assert library.keeper.agreement().holds


def test_chunks_that_stay_the_same_are_not_embedded_when_a_text_is_cut_anew(library):
    list(ingester(library).run([source("short", "few words"), source("long", LONG)], TO))
    embedded: list[str] = []
    embed = library.embedder.embed
    library.embedder.embed = lambda texts, kind="document": embedded.extend(texts) or embed(texts, kind=kind)
    list(ingester(library, chunking=SHORT).recut())
    assert embedded
    assert not any("few words" in text for text in embedded)


def test_vectors_of_a_second_model_are_made_beside_the_first_and_resume(library):
    list(ingester(library).run([source(f"d{n}", f"topic{n}") for n in range(10)], TO))
    new = HashingEmbedder(32)
    steps = embed_missing(library.catalog, new, batch=4)
    assert next(steps) == 4
    steps.close()
    assert list(embed_missing(library.catalog, new, batch=4)) == [4, 6]
    assert list(embed_missing(library.catalog, new)) == []
    for embedder in (library.embedder, new):
        _, rows, matrix = library.catalog.feed.matrix(embedder.id, embedder.dim)
        assert len(rows) == 10
        assert np.allclose(np.linalg.norm(matrix.astype(np.float32), axis=1), 1, atol=1e-3)
