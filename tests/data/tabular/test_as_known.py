import numpy as np
import pandas as pd
import pytest

from data.errors import InvalidInput
from data.tabular.as_known import History, audit, facts_as_corrected, facts_as_known


def day(number: int) -> pd.Timestamp:
    return pd.Timestamp("2024-01-01") + pd.Timedelta(days=number)


HISTORY = History(
    pd.DataFrame(
        [
            ("a", day(0), day(0), 10.0, "x"),
            ("a", day(0), day(30), 99.0, "x"),  # a correction of the first, a month later
            ("a", day(20), day(21), 20.0, "y"),
            ("b", day(5), day(50), 7.0, "z"),  # written long after it was true
        ],
        columns=["who", "event_timestamp", "created_timestamp", "score", "grade"],
    ),
    "who",
)
ROWS = pd.DataFrame(
    {"who": ["a", "a", "a", "b", "b", "c"], "at": [day(10), day(25), day(40), day(10), day(60), day(9)]}
)


def test_only_what_was_true_and_known_by_then_is_taken():
    assert facts_as_known(ROWS, HISTORY, "at")["score"].tolist()[:3] == [10.0, 20.0, 20.0]
    assert facts_as_known(ROWS, HISTORY, "at")["score"].isna().tolist() == [False, False, False, True, False, True]


def test_a_join_on_validity_alone_takes_the_correction():
    assert facts_as_corrected(ROWS, HISTORY, "at")["score"].tolist()[:5] == [99.0, 20.0, 20.0, 7.0, 7.0]


def test_facts_older_than_the_ttl_are_missing():
    known = facts_as_known(ROWS, HISTORY, "at", ttl_days=19)["score"]
    assert known.isna().tolist() == [False, False, True, True, True, True]


def test_the_audit_counts_and_names_the_rows_that_saw_the_future():
    found = audit(ROWS, HISTORY, "at")
    assert (found.n_rows, found.n_changed, found.n_without_facts) == (6, 2, 2)
    assert found.by_column == {"score": 2, "grade": 1}
    first = found.examples[0]
    assert (first.row, first.key, first.column, first.as_known, first.as_corrected) == (0, "a", "score", 10.0, 99.0)
    assert first.known_from == str(day(30))
    assert found.share_changed == pytest.approx(2 / 6)


def test_no_row_changes_where_nothing_was_corrected():
    prompt = History(HISTORY.frame.assign(created_timestamp=HISTORY.frame["event_timestamp"]).drop(index=1), "who")
    assert audit(ROWS, prompt, "at").n_changed == 0


@pytest.mark.slow
def test_both_joins_equal_a_search_row_by_row():
    rng = np.random.default_rng(3)
    n = 400
    event = rng.integers(0, 50, n)
    facts = pd.DataFrame(
        {
            "who": rng.choice(list("abcde"), n),
            "event_timestamp": [day(int(one)) for one in event],
            "created_timestamp": [day(int(one)) for one in event + rng.integers(0, 30, n)],
            "score": rng.random(n),
        }
    )
    rows = pd.DataFrame(
        {"who": rng.choice(list("abcdef"), 200), "at": [day(int(one)) for one in rng.integers(0, 60, 200)]}
    )
    history = History(facts, "who")
    for joined, only_known in ((facts_as_known, True), (facts_as_corrected, False)):
        found = joined(rows, history, "at")["score"]
        for row, (who, at) in enumerate(zip(rows["who"], rows["at"], strict=True)):
            fits = facts[(facts["who"] == who) & (facts["event_timestamp"] <= at)]
            fits = fits[fits["created_timestamp"] <= at] if only_known else fits
            best = max(fits.itertuples(), key=lambda one: (one[2], one[3], one[0]), default=None)
            assert (np.isnan(found[row]) and best is None) or found[row] == best[4]


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(InvalidInput, match="no column 'when'"):
        audit(ROWS, HISTORY, "when")
    with pytest.raises(InvalidInput, match="holds no dates"):
        audit(ROWS.assign(at=1), HISTORY, "at")
