import csv
import io
import json
from datetime import UTC, datetime

from app.web.dashboard.table import Column, Table, to_csv, to_json

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = (
    Column("what", "What"),
    Column("at", "When", "time"),
    Column("mean", "Mean", "interval"),
    Column("low"),
    Column("go", "Go", is_on_page_only=True),
)


def table(*rows) -> Table:
    return Table("t", "Title", COLUMNS, rows)


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))


def test_a_download_holds_what_the_page_hides_and_nothing_that_is_only_a_link():
    (row,) = read(to_csv(table({"what": "a", "at": AT, "mean": 0.5, "low": 0.25, "go": "x", "_links": {"what": "/y"}})))
    assert row == {"what": "a", "at": "2026-03-01T12:00:00+00:00", "mean": "0.5", "low": "0.25"}


def test_a_spreadsheet_runs_no_cell():
    for text in ("=cmd()", "+1", "-1", "@x", "\tx"):
        (row,) = read(to_csv(table({"what": text, "mean": -1.5})))
        assert row["what"] == f"'{text}"
        assert row["mean"] == "-1.5", "a number is no formula"


def test_what_is_not_known_is_empty_in_csv_and_null_in_json():
    given = table({"what": "a", "mean": float("nan")})
    assert read(to_csv(given))[0]["mean"] == ""
    assert json.loads(to_json(given))["rows"] == [{"what": "a", "at": None, "mean": None, "low": None}]


def test_json_names_its_columns_and_where_a_row_leads():
    found = json.loads(to_json(table({"what": "a", "_links": {"what": "/dashboard/x"}})))
    assert [column["name"] for column in found["columns"]] == ["what", "at", "mean", "low"]
    assert found["rows"][0]["href"] == "/dashboard/x"
