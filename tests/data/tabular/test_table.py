import numpy as np
import pandas as pd
import pytest

from data.errors import InvalidInput, NotFound
from data.tabular.table import concatenated, is_privileged, load_table, read_table, settle, target_of
from data.tabular.table_spec import FileSource
from tests.data.tabular.small_table import loans_frame, loans_spec


def at(path, **changes):
    """The spec of the loans in `path`."""
    source = FileSource(kind="parquet" if path.suffix == ".parquet" else "csv", paths=(path,), **changes)
    return loans_spec().model_copy(update={"source": source})


def test_each_kind_has_one_dtype():
    frame, faults = settle(loans_frame(), loans_spec())
    assert faults == []
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "loan": "category",
        "asked": "datetime64[ns]",
        "born": "datetime64[ns]",
        "amount": "float64",
        "income": "float64",
        "children": "float64",
        "months": "int64",
        "purpose": "category",
        "town": "category",
        "owner": "boolean",
        "sex": "category",
        "repaid": "bool",
    }


def test_csv_parquet_and_memory_give_the_same_frame(tmp_path):
    loans_frame().to_csv(tmp_path / "loans.csv", index=False)
    loans_frame().to_parquet(tmp_path / "loans.parquet")
    settled, _ = settle(loans_frame(), loans_spec())
    pd.testing.assert_frame_equal(load_table(at(tmp_path / "loans.csv")), settled)
    pd.testing.assert_frame_equal(load_table(at(tmp_path / "loans.parquet")), settled)


def test_words_for_missing_mean_missing_as_text_and_as_number():
    frame, _ = settle(loans_frame(), loans_spec())
    assert frame["children"].isna().sum() == sum(row % 11 == 4 for row in range(60))
    assert frame["town"].isna().sum() == 24
    as_text = loans_frame().astype({"children": str})
    pd.testing.assert_series_equal(settle(as_text, loans_spec())[0]["children"], frame["children"])


def test_a_cell_of_the_wrong_kind_is_named_and_becomes_missing():
    raw = loans_frame().astype({"amount": object, "months": object})
    raw.loc[3, "amount"] = "much"
    raw.loc[4, "months"] = 2.5
    raw.loc[5, "asked"] = "someday"
    frame, faults = settle(raw, loans_spec())
    assert [(one.row, one.column, one.value) for one in faults] == [
        (5, "asked", "someday"),
        (3, "amount", "much"),
        (4, "months", 2.5),
    ]
    assert np.isnan(frame["amount"][3])
    assert str(faults[1]) == "row 3, amount: 'much' is not a number"


def test_loading_stops_at_cells_of_the_wrong_kind(tmp_path):
    raw = loans_frame().astype({"amount": object})
    raw.loc[3, "amount"] = "much"
    raw.to_csv(tmp_path / "loans.csv", index=False)
    with pytest.raises(InvalidInput, match="row 3, amount: 'much' is not a number"):
        load_table(at(tmp_path / "loans.csv"))


def test_moments_with_a_zone_are_settled_in_utc():
    raw = loans_frame(1).assign(asked="2024-03-01T01:30:00+02:00")
    assert settle(raw, loans_spec())[0]["asked"][0] == pd.Timestamp("2024-02-29 23:30:00")


def test_labels_that_came_later_are_filled_in_by_id(tmp_path):
    frame = loans_frame(10).astype({"repaid": object})
    labels = frame.loc[5:, ["loan", "repaid"]].iloc[::-1]
    frame.loc[5:, "repaid"] = None
    frame.to_csv(tmp_path / "loans.csv", index=False)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    spec = at(tmp_path / "loans.csv", labels=(tmp_path / "labels.csv",))
    assert load_table(spec)["repaid"].tolist() == loans_frame(10)["repaid"].tolist()


def test_codes_that_a_hole_made_floats_read_as_codes(tmp_path):
    (tmp_path / "loans.csv").write_text("town\n9.0\n\n14.0\n")
    assert read_table(at(tmp_path / "loans.csv"))["town"].dropna().tolist() == ["9", "14"]


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"absent\.csv"):
        read_table(at(tmp_path / "absent.csv"))


def test_the_target_is_one_where_it_is_positive():
    frame, _ = settle(loans_frame(8), loans_spec())
    assert target_of(frame, loans_spec()).tolist() == [0, 1, 1, 1, 0, 1, 1, 1]


def test_rows_without_a_label_are_no_targets():
    raw = loans_frame(8).astype({"repaid": object})
    raw.loc[2, "repaid"] = None
    with pytest.raises(InvalidInput, match="1 rows have no repaid"):
        target_of(settle(raw, loans_spec())[0], loans_spec())


def test_the_privileged_are_named_by_value_or_by_bound():
    frame, _ = settle(loans_frame(6), loans_spec())
    assert is_privileged(frame, loans_spec(), "sex").tolist() == [False, True] * 3
    assert is_privileged(frame, loans_spec(), "children").tolist() == [True, False, False, False, False, False]


def test_settled_parts_stay_settled_together():
    frame, _ = settle(loans_frame(), loans_spec())
    parts = [settle(loans_frame().iloc[:7], loans_spec())[0], settle(loans_frame().iloc[7:], loans_spec())[0]]
    pd.testing.assert_frame_equal(concatenated(parts, loans_spec()), frame)
