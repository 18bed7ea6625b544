"""Great Expectations takes 12 s to import."""

from datetime import UTC, datetime

import pytest

from data.errors import InvalidInput
from data.tabular.table import settle
from tests.data.tabular.small_table import loans_frame, loans_spec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Great Expectations, about sre_constants and its own
]
NOW = datetime(2025, 1, 31, tzinfo=UTC)
QUALITY = {
    "min_rows": 50,
    "max_rows": 55,
    "max_missing_share": {"town": 0.15, "income": 0.2, "owner": 0.6},
    "mean_between": {"amount": [4000, 5000], "months": [100, 200]},
    "share_of_value": {"purpose": {"car": [0.3, 0.4], "house": [0.5, 1.0]}, "repaid": {"true": [0.0, 0.5]}},
    "freshness": {"max_age_days": 60, "severity": "critical"},
    "critical": ["months"],
}


@pytest.fixture(scope="module")
def findings():
    from data.tabular.quality_suite import suite_findings

    spec = loans_spec(quality=QUALITY)
    return suite_findings(settle(loans_frame(), spec)[0], spec, now=NOW)


def told(findings) -> set[tuple]:
    return {(one.rule, one.column, one.severity, one.is_good, one.observed, one.expected) for one in findings}


def test_volume_completeness_distribution_and_freshness_are_judged(findings):
    assert told(findings) == {
        ("volume", "", "critical", True, "60 rows", "at least 50 rows"),
        ("volume", "", "warning", False, "60 rows", "at most 55 rows"),
        ("completeness", "town", "warning", False, "40.0% missing", "at most 15.0% missing"),
        ("completeness", "town", "critical", False, "40.0% missing", "at most 30.0% missing"),
        ("completeness", "income", "warning", True, "15.0% missing", "at most 20.0% missing"),
        ("completeness", "income", "critical", True, "15.0% missing", "at most 40.0% missing"),
        ("completeness", "owner", "warning", True, "33.3% missing", "at most 60.0% missing"),
        ("distribution", "amount", "warning", True, "a mean of 4202.1", "a mean from 4000 to 5000"),
        ("distribution", "months", "critical", False, "a mean of 30.5", "a mean from 100 to 200"),
        ("distribution", "purpose", "warning", True, "33.3%", "at least 30.0% car"),
        ("distribution", "purpose", "warning", True, "33.3%", "at most 40.0% car"),
        ("distribution", "purpose", "warning", False, "33.3%", "at least 50.0% house"),
        ("distribution", "repaid", "warning", False, "75.0%", "at most 50.0% true"),
        (
            "freshness",
            "asked",
            "critical",
            True,
            "a newest row of 2024-12-24T23:30:00",
            "a newest row from 2024-12-02T00:00:00 on",
        ),
    }


def test_the_rows_without_a_value_are_named(findings):
    frame = settle(loans_frame(), loans_spec())[0]
    town = next(one for one in findings if one.column == "town")
    assert town.rows == tuple(int(row) for row in frame.index[frame["town"].isna()])


def test_a_rule_that_cannot_be_checked_is_an_error_and_not_a_pass():
    from data.tabular.quality_suite import suite_findings

    spec = loans_spec(quality=QUALITY)
    frame = settle(loans_frame(), spec)[0].drop(columns="town")
    with pytest.raises(InvalidInput, match="could not be checked"):
        suite_findings(frame, spec, now=NOW)
