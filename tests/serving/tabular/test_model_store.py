import pytest

from data.errors import NotFound
from data.tabular.model_files import TamperedModel
from serving.tabular.model_store import ModelStore
from tests.serving.tabular.stores import put_model


@pytest.fixture
def store(tmp_path) -> ModelStore:
    put_model(tmp_path, "2")
    put_model(tmp_path, "10", threshold=0.6)
    return ModelStore(tmp_path)


def test_versions_are_told_oldest_first(store):
    assert store.names() == ["loans"]
    assert store.versions("loans") == ["2", "10"]
    assert store.versions("nobody") == []


def test_the_only_version_answers_and_of_several_the_champion(store, tmp_path):
    assert put_model(tmp_path / "alone", "7").resolve("loans") == "7"
    with pytest.raises(NotFound, match=r"no champion.*assay tabular alias loans champion 10"):
        store.resolve("loans")
    store.set_alias("loans", "champion", "2")
    store.set_alias("loans", "challenger", "10")
    assert store.predictor("loans").version == "2"
    assert store.predictor("loans", "challenger").version == "10"
    assert store.aliases("loans") == {"champion": "2", "challenger": "10"}


def test_the_challenger_is_the_newest_version_unless_it_is_the_champion(store):
    store.set_alias("loans", "champion", "2")
    assert store.resolve("loans", "challenger") == "10"
    store.set_alias("loans", "champion", "10")
    with pytest.raises(NotFound):
        store.resolve("loans", "challenger")


def test_an_alias_set_elsewhere_is_seen_within_a_second(tmp_path):
    put_model(tmp_path, "1")
    put_model(tmp_path, "2")
    now = [0.0]
    store = ModelStore(tmp_path, clock=lambda: now[0])
    ModelStore(tmp_path).set_alias("loans", "champion", "1")
    assert store.resolve("loans") == "1"
    ModelStore(tmp_path).set_alias("loans", "champion", "2")
    assert store.resolve("loans") == "1"
    now[0] = 1.1
    assert store.resolve("loans") == "2"


def test_unknown_names_versions_and_aliases_say_what_there_is(store):
    with pytest.raises(NotFound, match="There are: loans"):
        store.predictor("lones")
    with pytest.raises(NotFound, match="There are: 2, 10"):
        store.predictor("loans", "3")
    with pytest.raises(NotFound):
        store.set_alias("loans", "champion", "3")
    with pytest.raises(NotFound):
        store.folder("loans", "3")


def test_a_changed_file_is_refused_at_load(store):
    (store.folder("loans", "2") / "features.json").write_text("{}")
    with pytest.raises(TamperedModel, match=r"features\.json"):
        store.predictor("loans", "2")
    with pytest.raises(TamperedModel):
        store.digest("loans", "2")


def test_another_model_than_the_released_one_is_refused(store):
    digest = store.digest("loans", "2")
    assert store.predictor("loans", "2", digest=digest).version == "2"
    with pytest.raises(TamperedModel, match="released with"):
        store.predictor("loans", "10", digest=digest)


def test_a_folder_under_another_name_is_refused(store):
    store.folder("loans", "2").rename(store.folder("loans", "2").with_name("loans@3"))
    with pytest.raises(TamperedModel, match="holds loans@2"):
        ModelStore(store._registry._root).predictor("loans", "3")


def test_a_folder_that_is_no_model_is_not_listed(tmp_path):
    (tmp_path / "encoder@1").mkdir()
    assert ModelStore(tmp_path).names() == []
    assert ModelStore(tmp_path / "absent").names() == []
