import pytest
from sqlalchemy import func, select

from data.database import Database
from data.tables import chunks, contents, vectors
from retrieval.chunking import Piece
from retrieval.contents import CutText, cut_otherwise, n_cut_otherwise, put_text, recut, release, sha256
from tests.databases import new_database

TEXT = "One two. Three four."


class AnyVector(dict):
    """A vector for whatever is asked for."""

    def __missing__(self, digest: str) -> bytes:
        return b"\0\0"


@pytest.fixture
def database(tmp_path):
    opened = new_database(tmp_path / "a.db")
    yield opened
    opened.close()


def cut(*ends: int, chunking: str = "old", tenant: str = "t") -> CutText:
    starts = (0, *ends)
    return CutText(tenant, TEXT, "Title", [Piece(s, e) for s, e in zip(starts, ends, strict=False)], chunking)


def put(database: Database, text: CutText, blobs=None) -> int:
    with database.write() as write:
        return put_text(write, text, "e", AnyVector() if blobs is None else blobs)


def pieces(database: Database) -> list[str]:
    with database.read() as c:
        assert (
            c.execute(select(func.count()).select_from(vectors)).scalar()
            == c.execute(select(func.count()).select_from(chunks)).scalar()
        )
        return list(c.execute(select(chunks.c.text).order_by(chunks.c.content_id, chunks.c.ordinal)).scalars())


def test_a_text_is_stored_once_in_a_tenant(database):
    first = put(database, cut(8, len(TEXT)))
    assert put(database, cut(8, len(TEXT))) == first
    assert put(database, cut(len(TEXT), tenant="other")) != first
    assert pieces(database) == ["One two.", " Three four.", TEXT]


def test_a_text_that_other_settings_cut_gets_new_chunks_under_the_same_id(database):
    first = put(database, cut(8, len(TEXT)))
    with database.read() as c:
        assert [(t.id, t.text) for t in cut_otherwise(c, "new", 5)] == [(first, TEXT)]
    assert put(database, cut(len(TEXT), chunking="new")) == first
    assert pieces(database) == [TEXT]
    with database.read() as c:
        assert (n_cut_otherwise(c, "new"), n_cut_otherwise(c, "old")) == (0, 1)


def test_a_missing_vector_is_an_error_that_changes_nothing(database):
    put(database, cut(8, len(TEXT)))
    generation = database.current_generation()
    with pytest.raises(KeyError, match=sha256(f"Title\n{TEXT}")):
        put(database, cut(len(TEXT), chunking="new"), blobs={})
    assert pieces(database) == ["One two.", " Three four."]
    assert database.current_generation() == generation


def test_a_text_that_left_is_not_brought_back_by_cutting_it_anew(database):
    first = put(database, cut(len(TEXT)))
    with database.write() as write:
        release(write, [first])
    with database.write() as write:
        recut(write, first, cut(8, len(TEXT), chunking="new"), "e", AnyVector())
    with database.read() as c:
        assert c.execute(select(func.count()).select_from(contents)).scalar() == 0
    assert pieces(database) == []
