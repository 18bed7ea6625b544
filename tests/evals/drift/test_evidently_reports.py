import json

import numpy as np
import pytest

from tests.evals.drift.tabled import people

pytestmark = pytest.mark.slow


def test_reports_are_written_and_verdicts_are_numbers(tmp_path):
    from evals.drift import evidently_reports

    columns = ["age", "job"]
    reference, window = people(300, 0)[columns], people(300, 1, older=0.9)[columns]
    html, facts = evidently_reports.table_report(reference, window, tmp_path / "chk_1-evidently")
    assert html.read_text()[:200].lstrip().lower().startswith(("<!doctype html", "<html"))
    assert json.loads(facts.read_text())
    assert evidently_reports.table_verdict(reference, window) == (0.5, True)

    rng = np.random.default_rng(0)
    reference = rng.standard_normal((120, 4)).astype(np.float32)
    found = evidently_reports.embedding_verdicts(reference, reference[:60] + 3, ("distance",))
    assert all(is_drift for _, is_drift in found.values())
