import json
from pathlib import Path

from app.bench.report import PROMISES, write

FOUND = {"date": "2030-01-31", "machine": "2 cores", "load_before": 0.1}
INGEST = FOUND | {"ratio": 2.5, "ratios": [2.4, 2.5, 2.6]}


def test_a_promise_that_is_kept_and_one_that_is_not_are_told_apart(tmp_path: Path) -> None:
    write({"ingest": INGEST}, tmp_path / "good.md")
    write({"ingest": INGEST | {"ratio": 2.1}}, tmp_path / "bad.md")
    assert "| >= 2.2 | 2.5 | yes | 0.1 |" in (tmp_path / "good.md").read_text()
    assert "| >= 2.2 | 2.1 | **no** | 0.1 |" in (tmp_path / "bad.md").read_text()


def test_what_was_not_measured_is_said_to_be_missing(tmp_path: Path) -> None:
    write({"ingest": INGEST}, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert page.count("| not measured |") == len([p for p in PROMISES if p.part != "ingest"])
    assert "## ingest" in page
    assert "## query" not in page


def test_every_figure_is_on_the_page(tmp_path: Path) -> None:
    found = {
        "precision": FOUND | {"squad": {"loss_int8_documents_int8_queries": {"mean": 0.002, "interval_95": [-1, 1]}}}
    }
    write(json.loads(json.dumps(found)), tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| squad: loss_int8_documents_int8_queries: mean | 0.002 |" in page
    assert "| squad: loss_int8_documents_int8_queries: interval_95 | -1, 1 |" in page
