import pytest

from data.errors import NotFound
from data.records import Principal, Query
from tests.retrieval.conftest import Library

ANNA = Principal(tenant="acme", groups=frozenset({"engineering"}))
BEN = Principal(tenant="acme", groups=frozenset({"people"}))


def test_equal_texts_are_stored_once_and_cited_by_each_source_that_may_be_seen(library):
    library.add({"a": "the coffee machine is on floor three"}, tenant="acme", groups=["engineering"])
    library.add({"b": "the coffee machine is on floor three"}, tenant="acme", groups=["people"])
    library.add({"c": "the coffee machine is on floor three"}, tenant="acme", groups=["engineering", "people"])
    assert library.catalog.feed.n_chunks() == 1
    seen = [{s.uri for s in library.search("coffee machine", principal=p).hits[0].sources} for p in (ANNA, BEN)]
    assert seen == [{"a", "c"}, {"b", "c"}]


def test_equal_texts_of_two_tenants_are_stored_apart(library):
    library.add({"a": "same words"}, tenant="acme")
    library.add({"a": "same words"}, tenant="globex")
    assert library.catalog.feed.n_chunks() == 2


def test_removing_one_of_two_sources_keeps_the_text_for_the_other(library):
    library.add({"a": "shared text", "b": "shared text"})
    library.remove("a")
    assert library.found("shared text") == ["b"]
    library.remove("b")
    assert library.found("shared text") == []
    assert library.catalog.feed.n_chunks() == 0


def test_an_update_replaces_text_and_raises_the_version(library):
    library.add({"a": "the limit is 100 euro"})
    (event,) = library.add({"a": "the limit is 250 euro"})
    document = library.catalog.document(event.document_id, Principal())
    assert (event.status, document.version, document.text) == ("updated", 2, "the limit is 250 euro")
    assert library.search("limit euro").hits[0].chunk.document_version == 2
    assert library.catalog.feed.n_chunks() == 1


def test_a_changed_document_embeds_only_its_changed_chunks(tmp_path):
    library = Library(tmp_path)
    embedded = []
    embed = library.embedder.embed
    library.embedder.embed = lambda texts, kind="document": embedded.extend(texts) or embed(texts, kind=kind)
    paragraphs = [f"# Section {n}\n\n" + f"word{n} " * 150 for n in range(5)]
    library.add({"a": "\n\n".join(paragraphs)})
    before = len(embedded)
    paragraphs[2] = "# Section 2\n\n" + "different " * 150
    library.add({"a": "\n\n".join(paragraphs)})
    library.close()
    assert 0 < len(embedded) - before < before


def test_a_document_outside_ones_tenant_or_groups_does_not_exist(library):
    (event,) = library.add({"a": "salaries"}, tenant="acme", groups=["people"])
    assert library.catalog.document(event.document_id, BEN).text == "salaries"
    for stranger in (ANNA, Principal(tenant="globex", groups=frozenset({"people"}))):
        with pytest.raises(NotFound, match=event.document_id):
            library.catalog.document(event.document_id, stranger)


def test_changing_only_the_groups_moves_the_document_without_touching_its_text(library):
    library.add({"a": "quarterly plan"}, tenant="acme", groups=["people"])
    library.add({"a": "quarterly plan"}, tenant="acme", groups=["engineering"])
    assert library.found("quarterly plan", principal=ANNA) == ["a"]
    assert library.found("quarterly plan", principal=BEN) == []


def test_pages_cover_every_document_once(library):
    library.add({f"doc{n}": f"text number {n}" for n in range(7)})
    seen, cursor = [], ""
    while True:
        page, cursor = library.catalog.documents(Principal(), cursor=cursor, limit=3)
        seen += [d.uri for d in page]
        if not cursor:
            break
    assert sorted(seen) == sorted(f"doc{n}" for n in range(7))


def test_collections_count_only_what_the_principal_sees(library):
    library.add({"a": "one"}, tenant="acme", collection="hr", groups=["people"])
    library.add({"b": "two"}, tenant="acme", collection="eng")
    assert library.catalog.collections(ANNA) == {"eng": 1}
    assert library.catalog.collections(BEN) == {"eng": 1, "hr": 1}


def test_metadata_filters_hold_inside_the_search(library):
    library.add({"old": "travel policy for trains"}, metadata={"year": 2020, "status": "superseded"})
    library.add({"new": "travel policy for planes"}, metadata={"year": 2024, "status": "current"})
    library.add({"none": "travel policy for boats"})
    from data.records import Filter

    def search(**condition):
        return set(library.found("travel policy", filters=(Filter(**condition),)))

    assert search(field="status", value="current") == {"new"}
    assert search(field="year", op="range", gte=2020, lt=2024) == {"old"}
    assert search(field="year", op="in", values=(2020, 2024)) == {"old", "new"}
    assert search(field="status", op="prefix", value="super") == {"old"}
    assert search(field="uri", value="none") == {"none"}
    assert Query(text="x").filters == ()
