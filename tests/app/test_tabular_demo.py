import json

import pytest

import app.tabular_demo as demo
from app.settings import load_settings
from serving.tabular.model_store import ModelStore

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Great Expectations', MLflow's and shap's own


def test_the_whole_path_leaves_a_champion_pictures_a_card_and_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "N_ROWS", 3000)
    settings, said = load_settings(home=tmp_path, port=18_765), []
    shown = demo.run_demo(settings, said.append)
    text = "\n".join(said)
    for part in ("3000 claims keep the contract", "sex: disparate_impact", "log-odds on average", "0 differ in a bit"):
        assert part in text
    assert shown.done.run
    assert all(path.stat().st_size > 10_000 for path in shown.pictures)
    predictor = ModelStore(settings.tabular_models).predictor("claims-demo")
    assert predictor.model.digest == shown.done.model.digest
    sent = json.loads(demo.curl(settings, shown.done).split("-d '")[1].removesuffix("'"))["rows"]
    expected = shown.done.model.scores(shown.done.model.reference.head(1))
    assert predictor.score_rows(sent).scores.tobytes() == expected.tobytes()
