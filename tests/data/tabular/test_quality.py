import json
import subprocess
import sys
from pathlib import Path

import pytest

from data.tabular.contract import faults_of
from data.tabular.quality import (
    Finding,
    QualityReport,
    QualityStopped,
    contract_findings,
    data_digest,
    shown_rows,
    stop_if_critical,
)
from data.tabular.table import settle
from tests.data.tabular.small_table import loans_frame, loans_spec

HOLES = Finding("completeness", "warning", False, "town", "40.0% missing", "at most 10.0% missing", (3, 4, 8))


def report(*findings: Finding) -> QualityReport:
    return QualityReport.of(loans_spec(), settle(loans_frame(), loans_spec())[0], findings)


def broken() -> tuple[Finding, ...]:
    raw = loans_frame()
    raw.loc[[3, 9], "amount"] = -1.0
    return tuple(contract_findings(faults_of(raw, loans_spec())))


def test_a_critical_finding_stops_the_run_with_the_rows_at_fault():
    with pytest.raises(QualityStopped) as caught:
        stop_if_critical(report(*broken()))
    assert caught.value.report.critical[0].rows == (3, 9)
    assert "contract: amount: -1.0; expected a number from 0 to 100000 (rows 3, 9)" in str(caught.value)


def test_a_warning_is_recorded_and_stops_nothing():
    found = stop_if_critical(report(*contract_findings([]), HOLES))
    assert found.verdict == "warning"
    assert found.warnings == (HOLES,)


def test_a_table_that_keeps_all_rules_is_good():
    assert report(*contract_findings([])).verdict == "good"


def test_the_result_is_stored_with_a_page_and_as_the_latest(tmp_path):
    stored, page = report(*broken(), HOLES).save(tmp_path)
    told = json.loads(stored.read_text())
    assert told["verdict"] == "critical"
    assert told["findings"][0]["rows"] == [3, 9]
    assert (tmp_path / "loans" / "latest.json").read_text() == stored.read_text()
    assert (tmp_path / "loans" / "latest.html").read_text() == page.read_text()


def test_the_page_needs_nothing_from_elsewhere_and_shows_what_cells_hold_as_text(tmp_path):
    nasty = Finding("contract", "critical", False, "town", "'<script>alert(1)</script>'", "text")
    page = report(nasty).page()
    assert "http" not in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_equal_tables_have_equal_digests_and_others_do_not():
    frame = settle(loans_frame(), loans_spec())[0]
    assert data_digest(frame) == data_digest(frame.astype({"purpose": object, "town": object, "owner": object}))
    assert data_digest(frame) != data_digest(frame.assign(months=frame["months"] + 1))
    assert data_digest(frame) != data_digest(frame.rename(columns={"months": "weeks"}))


def test_long_lists_of_rows_are_cut():
    assert shown_rows(range(30)).endswith("18, 19 and 10 more")


@pytest.mark.slow
def test_checking_a_contract_loads_neither_great_expectations_nor_feast():
    probe = (
        "import sys, data.tabular.contract, data.tabular.quality, data.tabular.features;"
        "print([m for m in ('great_expectations', 'feast', 'sklearn', 'xgboost', 'mlflow', 'torch') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    out = subprocess.run([sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
