import pytest

from data.errors import InvalidInput, NotFound
from evals.drift.config import CONFIGS, LanguageWatch, TabularWatch, known_watches, load_watch, parse_watch


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_watch_of_the_repository_loads_and_begins_with_its_command(path):
    assert load_watch(path).name == path.stem
    assert path.read_text().splitlines()[0] == f"# assay drift check {path.stem}"


def test_a_watch_is_named_or_a_path(tmp_path):
    assert isinstance(load_watch("questions"), LanguageWatch)
    (tmp_path / "mine.yaml").write_text("{name: mine, kind: tabular, table: adult, reference: {path: old.csv}}")
    mine = load_watch(tmp_path / "mine.yaml")
    assert isinstance(mine, TabularWatch)
    assert mine.reference.path == tmp_path / "old.csv"
    with pytest.raises(NotFound, match="employment"):
        load_watch("nothing")
    assert {path.stem for path in known_watches()} >= {"questions", "adult", "employment"}


def test_every_error_is_told_at_once():
    with pytest.raises(InvalidInput) as told:
        parse_watch({"name": "Q!", "kind": "language", "budget": {"days": 0}, "windw": 3})
    assert "3 errors" in str(told.value)
    for part in ("name: 'Q!'", "budget.days: 0", "windw: there is no such field"):
        assert part in str(told.value)


def test_a_column_is_watched_or_ignored_never_both():
    with pytest.raises(InvalidInput, match="age stand in columns and in ignore"):
        parse_watch({"name": "a", "kind": "tabular", "table": "adult", "columns": ["age"], "ignore": ["age"]})


def test_an_unknown_kind_and_a_file_that_is_no_yaml_are_told(tmp_path):
    with pytest.raises(InvalidInput, match="kind: must be language or tabular"):
        parse_watch({"name": "a", "kind": "audio"})
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(InvalidInput, match="is not YAML"):
        load_watch(tmp_path / "bad.yaml")
