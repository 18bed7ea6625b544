from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from data.database import Database
from data.records import Outcome, Verdict
from serving.rollout.store import By, RolloutStore
from serving.rollout.verdicts import new_verdict_id, record_verdict
from tests.databases import new_database

ANNA = By("anna", "because")


@pytest.fixture
def database(tmp_path) -> Iterator[Database]:
    opened = new_database(tmp_path / "assay.db")
    yield opened
    opened.close()


@pytest.fixture
def store(database) -> RolloutStore:
    return RolloutStore(database)


@pytest.fixture
def judged(database):
    """`judged("support", "7", "pass", digest="d7")` records a verdict and returns its id."""

    def record(name: str, version: str, outcome: str = "pass", digest: str = "") -> str:
        verdict = Verdict(
            id=new_verdict_id(),
            name=name,
            version=version,
            outcome=Outcome(outcome),
            created_at=datetime.now(UTC),
            digest=digest,
        )
        record_verdict(database, verdict)
        return verdict.id

    return record
