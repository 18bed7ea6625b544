import pytest

from data.errors import InvalidInput, NotFound
from data.tabular.table_spec import known_tables, load_spec, parse_spec
from tests.data.tabular.small_table import LOANS, loans_spec


@pytest.mark.parametrize("path", known_tables(), ids=lambda path: path.stem)
def test_every_shipped_spec_loads_under_its_own_name(path):
    spec = load_spec(path.stem)
    assert spec.name == path.stem
    assert spec.target not in spec.features
    assert spec.features


def test_features_are_the_columns_without_a_role_in_their_order():
    assert loans_spec().features == ("born", "amount", "income", "children", "months", "purpose", "town", "owner")


def test_every_error_of_a_spec_is_told_at_once():
    wrong = LOANS | {
        "name": "Loans",
        "colour": "blue",
        "target": "repayed",
        "columns": LOANS["columns"] | {"amount": {"kind": "number", "low": 5, "high": 1, "values": ["a"]}},
    }
    with pytest.raises(InvalidInput) as caught:
        parse_spec(wrong, "loans.yaml")
    told = str(caught.value)
    assert "loans.yaml has 5 errors" in told
    assert "name: 'Loans' is not allowed" in told
    assert "colour: there is no such field" in told
    assert "columns.amount: low 5 is above high 1; swap them" in told
    assert "columns.amount: values mean nothing for a number" in told
    assert "target: there is no column 'repayed'. Write `repaid`?" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"time": "town"}, "time: 'town' is a category; it must be a number or integer or date"),
        ({"positive": ""}, "target and positive: give both, or neither"),
        ({"known_at": "asked", "label_delay_days": 3}, "give one of them"),
        ({"dropped": {"town": "why"}}, "town stand in `columns` too"),
        ({"protected": {"sex": {}}}, "name either the privileged values or a low or high bound"),
        ({"quality": {"mean_between": {"town": [0, 1]}}}, "quality.mean_between: 'town' is a category"),
        ({"time": "months", "quality": {"freshness": {"max_age_days": 3}}}, "needs `time` to be a date"),
        ({"target": "purpose", "positive": "boat"}, "'boat' is none of the target's values: car, house, other"),
    ],
)
def test_a_contradiction_is_told_with_the_way_out(change, told):
    with pytest.raises(InvalidInput, match="error") as caught:
        loans_spec(**change)
    assert told in str(caught.value)


def test_an_unknown_table_is_told_with_those_there_are():
    with pytest.raises(NotFound, match="claims"):
        load_spec("clams")


def test_paths_start_at_the_folder_of_the_spec(tmp_path):
    (tmp_path / "loans.csv").write_text("amount\n1\n")
    (tmp_path / "loans.yaml").write_text(
        "name: l\nsource: {kind: csv, paths: [loans.csv]}\ncolumns: {amount: {kind: number}}"
    )
    assert load_spec(tmp_path / "loans.yaml").source.paths == (tmp_path / "loans.csv",)
