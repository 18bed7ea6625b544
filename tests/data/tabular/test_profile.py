import pandas as pd
import pytest
import yaml

from data.errors import InvalidInput, NotFound
from data.tabular.contract import checked
from data.tabular.profile import as_yaml, drafted
from data.tabular.table import read_table
from data.tabular.table_spec import load_spec
from tests.data.tabular.small_table import loans_frame


@pytest.fixture
def file(tmp_path):
    frame = loans_frame(200).assign(
        constant="one", copy_of_amount=lambda all: all["amount"], spoiler=lambda all: all["repaid"].astype(int) * 2 + 1
    )
    frame["loan"] = [f"L{at:03d}" for at in range(200)]
    frame.to_csv(tmp_path / "Loans 2024.csv", index=False)
    return tmp_path / "Loans 2024.csv"


def test_a_draft_knows_kinds_ranges_values_holes_and_roles(file):
    spec = drafted(file, target="repaid").spec
    assert spec.name == "loans_2024"
    kinds = {name: column.kind for name, column in spec.columns.items()}
    assert kinds["asked"] == kinds["born"] == "date"
    assert kinds["amount"] == kinds["income"] == "number"
    assert kinds["children"] == kinds["months"] == "integer"
    assert kinds["owner"] == kinds["repaid"] == "boolean"
    assert spec.columns["town"].missing == ("?",)
    assert spec.columns["purpose"].values == ("car", "house", "other")
    assert (spec.columns["amount"].low, spec.columns["amount"].high) == (0, 10_000)
    assert (spec.columns["children"].low, spec.columns["income"].nullable) == (-1, True)
    assert (spec.target, spec.positive, spec.time) == ("repaid", "false", "asked")
    assert set(spec.quality.max_missing_share) == {"born", "income", "owner", "town"}


def test_columns_that_say_nothing_are_dropped_with_the_reason(file):
    assert drafted(file).spec.dropped == {
        "constant": "the same value in every row",
        "copy_of_amount": "a copy of amount",
    }


def test_a_column_that_knows_the_answer_is_pointed_out(file):
    notes = " ".join(drafted(file, target="repaid").notes)
    assert "spoiler alone orders the target with AUC 1.000" in notes
    assert "amount alone" not in notes
    assert "Protected attributes? sex" in notes


def test_the_draft_is_a_spec_that_the_file_keeps(file, tmp_path):
    (tmp_path / "loans.yaml").write_text(as_yaml(drafted(file, target="repaid")))
    spec = load_spec(tmp_path / "loans.yaml")
    assert len(checked(read_table(spec), spec)) == 200
    assert yaml.safe_load(as_yaml(drafted(file)))["columns"]["amount"] == {"kind": "number", "low": 0, "high": 10_000}


def test_parquet_is_drafted_from_its_own_types(tmp_path):
    frame = pd.DataFrame(
        {"day": pd.to_datetime(["2024-01-01", "2024-02-01"]), "code": ["007", "012"], "flag": [True, False]}
    )
    frame.to_parquet(tmp_path / "t.parquet")
    kinds = {name: column.kind for name, column in drafted(tmp_path / "t.parquet").spec.columns.items()}
    assert kinds == {"day": "date", "code": "category", "flag": "boolean"}


def test_what_is_no_table_is_told(tmp_path, file):
    with pytest.raises(NotFound, match="no file"):
        drafted(tmp_path / "none.csv")
    (tmp_path / "x.parquet").write_text("no parquet")
    with pytest.raises(InvalidInput, match="is no table"):
        drafted(tmp_path / "x.parquet")
    with pytest.raises(InvalidInput, match="no column 'fraud'"):
        drafted(file, target="fraud")
