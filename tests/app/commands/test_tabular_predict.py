import json

import pytest

from app.commands.tabular_predict import given_rows, read_labels
from data.errors import InvalidInput, NotFound
from serving.tabular.row_contract import RowsRefused
from tests.app.commands.tabular_commands import run
from tests.data.tabular.small_table import loans_spec
from tests.databases import put_schema
from tests.serving.tabular.stores import put_model, request_rows

ROWS = request_rows(3)


@pytest.fixture
def home(tmp_path):
    put_schema(tmp_path / "var" / "assay.db")
    put_model(tmp_path / "var" / "tabular" / "models")
    return tmp_path


@pytest.mark.slow
def test_rows_are_scored_as_the_model_scores_them(home):
    (home / "rows.json").write_text(json.dumps(ROWS))
    told = json.loads(run(home, "predict", "loans", "--row", f"@{home / 'rows.json'}", "--json").stdout)
    model = put_model(home / "again").predictor("loans").model
    assert [one["score"] for one in told["predictions"]] == model.scores(ROWS).tolist()
    assert told["model"] == "loans@1"
    shown = run(home, "predict", "loans", "--row", json.dumps(ROWS[0])).stdout
    assert "loans@1 (champion), threshold 0.4" in shown


@pytest.mark.slow
def test_a_wrong_row_and_an_unknown_model_are_wrong_use(home):
    assert isinstance(run(home, "predict", "loans", "--row", '{"amount": "many"}').exception, RowsRefused)
    assert isinstance(run(home, "predict", "lones", "--row", "{}").exception, NotFound)


def test_rows_are_one_object_a_list_or_lines(tmp_path):
    assert given_rows('{"a": 1}') == [{"a": 1}]
    assert given_rows('[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]
    (tmp_path / "lines").write_text('{"a": 1}\n{"a": 2}\n')
    assert given_rows(f"@{tmp_path / 'lines'}") == [{"a": 1}, {"a": 2}]
    for wrong in ("{", f"@{tmp_path / 'none'}"):
        with pytest.raises(InvalidInput):
            given_rows(wrong)


def test_labels_are_read_by_their_names_or_by_the_tables(tmp_path):
    spec = loans_spec()
    file = tmp_path / "labels.csv"
    file.write_text("loan,repaid,known_at\nL1,true,2026-01-02\nL2,0,\nL3,,2026-01-02\n")
    told = read_labels(file, spec)
    assert [(subject, label) for subject, label, _ in told] == [("L1", True), ("L2", False)]
    assert told[0][2].isoformat() == "2026-01-02T00:00:00+00:00"
    assert told[1][2] is None
    file.write_text("id,label\nr:0,yes\n")
    assert read_labels(file, spec) == [("r:0", True, None)]
    file.write_text("id\nr:0\n")
    with pytest.raises(InvalidInput, match="label"):
        read_labels(file, spec)
    with pytest.raises(NotFound):
        read_labels(tmp_path / "none.csv", spec)
