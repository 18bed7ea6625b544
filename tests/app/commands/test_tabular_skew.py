import json
from datetime import UTC, datetime

import pytest

from data.database import Database
from data.errors import InvalidInput, NotFound
from serving.tabular.prediction_store import KeptPrediction, PredictionStore
from tests.app.commands.tabular_commands import run
from tests.databases import put_schema
from tests.serving.tabular.stores import put_model, request_rows

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path):
    put_schema(tmp_path / "var" / "assay.db")
    put_model(tmp_path / "var" / "tabular" / "models")
    return tmp_path


def keep(home, change: float) -> None:
    scored = put_model(home / "again").predictor("loans").score_rows(request_rows(4))
    scored.features[2, 0] += change
    database = Database(f"sqlite:///{home / 'var' / 'assay.db'}")
    PredictionStore(database).add(
        [
            KeptPrediction(
                key=f"r{at}:0",
                model="loans",
                version="1",
                score=float(scored.scores[at]),
                decision=bool(scored.decisions[at]),
                row=row,
                features=scored.features[at].tobytes(),
                at=datetime.now(UTC),
            )
            for at, row in enumerate(request_rows(4))
        ]
    )
    database.close()


def test_a_clean_log_is_0_and_none_is_inconclusive(home):
    assert run(home, "skew", "loans").exit_code == 3
    keep(home, 0.0)
    done = run(home, "skew", "loans")
    assert (done.exit_code, "4 rows, 0 skewed" in done.stdout) == (0, True)


def test_planted_skew_is_1_and_names_the_feature(home):
    keep(home, 0.5)
    done = run(home, "skew", "loans@1", "--json")
    assert done.exit_code == 1
    (told,) = json.loads(done.stdout)
    assert told["n_skewed"] == 1
    assert list(told["by_feature"]) == ["born:age_days"]
    assert "born:age_days: 1 rows" in run(home, "skew", "loans").stdout


def test_unknown_names_and_times_are_wrong_use(home):
    assert isinstance(run(home, "skew", "lones").exception, NotFound)
    assert isinstance(run(home, "skew", "loans", "--since", "yesterday").exception, InvalidInput)
