import pytest
import yaml

from data.errors import InvalidInput, NotFound
from finetune.tabular.config import known_configs, load_config, parse_config

GOOD = {"name": "mine", "table": "claims"}


@pytest.mark.parametrize("path", known_configs(), ids=lambda path: path.stem)
def test_every_shipped_config_loads_and_opens_with_its_command(path):
    loaded = load_config(path)
    assert loaded.config.name == path.stem
    assert path.read_text().startswith(f"# assay tabular train {path.stem}\n")
    assert loaded.config.card.intended_use


def test_a_shipped_config_is_found_by_its_name_and_changed_from_the_command_line():
    loaded = load_config("claims", ["search.trials=7", "models.0.params.C=0.5"])
    assert loaded.config.search.trials == 7
    assert loaded.config.models[0].params["C"] == 0.5


def test_every_error_is_told_at_once():
    wrong = {
        "name": "Mine",
        "table": "claims",
        "modles": [],
        "split": {"by": "time", "folds": 1, "tset": 0.3},
        "models": [{"kind": "lightgbm"}, {"kind": "xgboost", "max_round": 3}],
        "reweigh": "shoe size",
    }
    with pytest.raises(InvalidInput) as told:
        parse_config(wrong)
    text = str(told.value)
    for part in (
        "name: 'Mine' is not allowed",
        "modles: there is no such field. Rename it to `models`",
        "split.folds: 1 is not allowed",
        "split.tset: there is no such field. Rename it to `test`",
        "models.0.kind: 'lightgbm' is not allowed",
        "models.1.max_round: there is no such field. Rename it to `max_rounds`",
        "reweigh: 'shoe size' is not protected in claims; there are: sex",
    ):
        assert part in text
    assert "has 7 errors" in text


def test_what_the_table_has_not_is_told():
    with pytest.raises(InvalidInput, match=r"split\.by: adult has no `time` column"):
        parse_config({"name": "a", "table": "adult", "split": {"by": "time"}})
    with pytest.raises(InvalidInput, match=r"'claim_amout' is no feature of claims\. Write `claim_amount`"):
        parse_config(GOOD | {"models": [{"kind": "xgboost", "features": {"columns": ["claim_amout"]}}]})


def test_errors_of_a_spec_written_in_the_config_are_told_with_the_others():
    with pytest.raises(InvalidInput) as told:
        parse_config({"name": "a", "seeds": 1, "table": {"name": "t", "columns": {"a": {"kind": "colour"}}}})
    assert "seeds: there is no such field" in str(told.value)
    assert "columns.a.kind" in str(told.value)


def test_a_table_without_a_target_cannot_be_learnt():
    spec = {"name": "t", "source": {"kind": "csv", "paths": ["t.csv"]}, "columns": {"a": {"kind": "number"}}}
    with pytest.raises(InvalidInput, match="t has no target"):
        parse_config({"name": "a", "table": spec})


def test_codes_and_rounds_are_for_xgboost_alone():
    model = {"kind": "random_forest", "features": {"encoding": "codes"}, "max_rounds": 5}
    with pytest.raises(InvalidInput) as told:
        parse_config(GOOD | {"models": [model]})
    assert "models.0.max_rounds: only xgboost has it" in str(told.value)
    assert "codes are for xgboost" in str(told.value)


@pytest.mark.parametrize("space", [{"low": 3, "high": 1}, {"low": 0, "high": 1, "log": True}])
def test_a_range_that_is_none_is_refused(space):
    with pytest.raises(InvalidInput, match="must lie below"):
        parse_config(GOOD | {"search": {"space": {"xgboost": {"eta": space}}}})


def test_a_table_beside_the_config_is_found(tmp_path):
    spec = {
        "name": "t",
        "source": {"kind": "csv", "paths": ["t.csv"]},
        "columns": {"a": {"kind": "number"}, "y": {"kind": "boolean"}},
        "target": "y",
        "positive": "true",
    }
    (tmp_path / "t.csv").write_text("a,y\n1,true\n")
    (tmp_path / "t.yaml").write_text(yaml.safe_dump(spec))
    for table in ("t.yaml", spec):
        (tmp_path / "run.yaml").write_text(yaml.safe_dump({"name": "t", "table": table}))
        assert load_config(tmp_path / "run.yaml").spec.source.paths == (tmp_path / "t.csv",)


def test_an_unknown_config_is_told_with_those_there_are():
    with pytest.raises(NotFound, match="claims"):
        load_config("nothing")


def test_what_is_no_mapping_is_refused(tmp_path):
    (tmp_path / "run.yaml").write_text("- a\n")
    with pytest.raises(InvalidInput, match="must be a mapping"):
        load_config(tmp_path / "run.yaml")
