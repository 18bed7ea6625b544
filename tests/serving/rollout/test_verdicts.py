from datetime import UTC, datetime

import pytest

from data.errors import InvalidInput
from data.records import Outcome, Verdict
from serving.rollout.verdicts import newest_verdict, passing_verdict_id, record_verdict


def test_the_newest_verdict_of_a_version_counts(database, judged):
    first = judged("support", "7", "pass", "d7")
    with database.read() as connection:
        assert passing_verdict_id(connection, "support", "7", "d7") == first
    judged("support", "7", "fail", "d7")
    with database.read() as connection:
        assert newest_verdict(connection, "support", "7").outcome is Outcome.FAIL
        assert passing_verdict_id(connection, "support", "7", "d7") == ""
        assert newest_verdict(connection, "support", "8") is None


def test_a_verdict_keeps_its_details(database):
    verdict = Verdict(
        id="v1",
        name="support",
        version="7",
        outcome=Outcome.PASS,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        detail={"faithfulness": 0.91},
    )
    record_verdict(database, verdict)
    with database.read() as connection:
        assert newest_verdict(connection, "support", "7").detail == {"faithfulness": 0.91}


@pytest.mark.parametrize(("name", "version"), [("", "7"), ("support", ""), ("support@7", "7")])
def test_a_verdict_about_nothing_in_particular_is_refused(database, name, version):
    verdict = Verdict(id="v", name=name, version=version, outcome=Outcome.PASS, created_at=datetime.now(UTC))
    with pytest.raises(InvalidInput):
        record_verdict(database, verdict)
