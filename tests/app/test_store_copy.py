import pytest
from sqlalchemy import func, select

from app.store_copy import copy_collection
from data.records import Principal, Query
from data.tables import api_keys, receipts
from tests.app.answering_product import LEAVE, TEA, answer, product, put

STAFF = Principal(groups=frozenset({"staff"}))


@pytest.fixture
def source(tmp_path):
    with product(tmp_path / "source") as assay:
        put(assay, "leave.md", LEAVE, collection="handbook")
        put(assay, "tea.md", TEA, collection="handbook", groups=frozenset({"staff"}))
        put(assay, "other.md", "# Other\n\nAnother collection.\n", collection="other")
        put(assay, "foreign.md", "# Foreign\n\nAnother tenant.\n", tenant="acme", collection="handbook")
        answer(assay, "How long is parental leave?")
        yield assay


def test_the_copy_answers_like_the_collection_and_computes_nothing_again(source, tmp_path):
    with product(tmp_path / "copy") as copy:
        n = copy_collection(source.stores.database, copy.stores.database, "default", "handbook")
        copy.settle()
        assert n == 2
        assert copy.keeper.agreement().holds
        query = Query(text="free tea", principal=STAFF, collection="handbook")
        assert [h.chunk.text for h in copy.search(query).hits] == [h.chunk.text for h in source.search(query).hits]
        assert copy.search(Query(text="free tea")).hits[0].sources[0].title != "Kitchen"  # staff only, there as here


def test_nothing_of_users_other_collections_or_tenants_comes_along(source, tmp_path):
    with product(tmp_path / "copy") as copy:
        copy_collection(source.stores.database, copy.stores.database, "default", "handbook")
        copy.settle()
        assert copy.collections(STAFF) == {"handbook": 2}
        assert copy.collections(Principal(tenant="acme")) == {}
        with copy.stores.database.read() as connection:
            for table in (receipts, api_keys):
                assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


def test_documents_can_be_added_to_the_copy_and_the_source_does_not_see_them(source, tmp_path):
    with product(tmp_path / "copy") as copy:
        copy_collection(source.stores.database, copy.stores.database, "default", "handbook")
        copy.settle()
        put(copy, "twin.md", "# Parental leave\n\nIt is ninety weeks long.\n", collection="handbook")
        assert copy.collections(Principal()) == {"handbook": 2}
        assert source.collections(Principal())["handbook"] == 1
        assert copy.keeper.agreement().holds


def test_an_unknown_collection_copies_nothing(source, tmp_path):
    with product(tmp_path / "copy") as copy:
        assert copy_collection(source.stores.database, copy.stores.database, "default", "nowhere") == 0
