import json

import pandas as pd
import pytest

from data.errors import InvalidInput
from data.tabular.contract import ContractBroken
from tests.app.commands.tabular_commands import run
from tests.serving.tabular.stores import put_model, request_rows

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path):
    put_model(tmp_path / "var" / "tabular" / "models")
    (tmp_path / "in").mkdir()
    pd.DataFrame(request_rows(20)).to_parquet(tmp_path / "in" / "march.parquet")
    return tmp_path


def test_a_folder_is_scored_once(home):
    words = ("batch", "loans", home / "in", "--out", home / "out")
    first = json.loads(run(home, *words, "--json").stdout)
    assert [(one["n_scored"], one["is_cached"]) for one in first] == [(20, False)]
    assert "was there already" in run(home, *words).stdout
    assert len(pd.read_parquet(home / "out" / "march.parquet")) == 20


def test_broken_rows_stop_it_or_are_set_aside(home):
    rows = request_rows(20)
    rows[3]["purpose"] = "boat"
    pd.DataFrame(rows).to_parquet(home / "in" / "march.parquet")
    words = ("batch", "loans", home / "in", "--out", home / "out")
    assert isinstance(run(home, *words).exception, ContractBroken)
    assert "19 rows" in (told := run(home, *words, "--on-fault", "set_aside").stdout)
    assert "1 set aside" in told
    assert isinstance(run(home, *words, "--on-fault", "ignore").exception, InvalidInput)
