import hashlib

import pytest

from app.eval_stores import drop_stores_with, filled_store, fingerprint
from app.settings import Settings

TEXT = "Tea is free.\n"


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path)


def fill(assay):
    """Directly into the catalog's tables: no encoder is needed."""
    with assay.stores.database.write() as write:
        write.connection.exec_driver_sql(
            "insert into contents (tenant, sha256, text, generation) values ('default', ?, ?, 1)",
            (hashlib.sha256(TEXT.encode()).hexdigest(), TEXT),
        )


def test_a_store_is_filled_once_and_apart_from_the_users(settings):
    filled = []
    for _ in range(2):
        with filled_store(settings, "x", filled.append) as assay:
            assert assay.var == settings.var / "eval" / "x" / "var"
    assert len(filled) == 1
    assert not (settings.var / "assay.db").exists()


def test_a_filling_that_broke_off_is_begun_again(settings):
    def broken(assay):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), filled_store(settings, "x", broken):
        pass
    filled = []
    with filled_store(settings, "x", filled.append):
        pass
    assert len(filled) == 1


def test_the_name_tells_documents_and_what_cut_them_apart(settings, tmp_path):
    finer = Settings(home=tmp_path, ingest={"chunking": {"max_tokens": 120}})
    assert fingerprint(["a"], settings) == fingerprint(["a"], settings)
    assert len({fingerprint(["a"], settings), fingerprint(["b"], settings), fingerprint(["a"], finer)}) == 3


def test_an_erased_text_takes_the_stores_with_it_that_hold_it(settings):
    with filled_store(settings, "holds", fill):
        pass
    with filled_store(settings, "holds-not", lambda assay: None):
        pass
    dropped = drop_stores_with(hashlib.sha256(TEXT.encode()).hexdigest(), settings.var)
    assert [home.name for home in dropped] == ["holds"]
    assert [path.name for path in (settings.var / "eval").iterdir()] == ["holds-not"]
