import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from data.tabular.mlflow_form import example
from data.tabular.model_files import load_model, save_model
from finetune.tabular import tracking
from finetune.tabular.config import TrackingConfig
from finetune.tabular.tracking import TabularTracker, TrackingUnavailable
from finetune.tabular.train import Options, finish, prepare, train_candidate
from tests.finetune.tabular.small_run import small_config, small_frame
from tests.finetune.tabular.test_train import evaluate

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # MLflow's own


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    place = tmp_path_factory.mktemp("tracked")
    loaded = small_config(search={"trials": 2})
    rows = prepare(loaded, small_frame())
    options = Options(evaluate, f"sqlite:///{place / 'optuna.db'}")
    candidate = train_candidate(rows, loaded.config.models[0], options)
    trained = finish(rows, candidate, [candidate], [], options)
    model = save_model(replace(trained.model, version="1"), place / "small@1", extra={"README.md": b"# small\n"})
    uri = f"sqlite:///{place / 'mlflow.db'}"
    tracker = TabularTracker(uri, TrackingConfig())
    assert tracker.latest_version("small") == 0
    run = tracker.log(trained, model, place / "small@1", {"roc.png": b"png"}, {"recall": [0.0, 1.0]})
    version = tracker.register(run, model)
    return MlflowClient(tracking_uri=uri, registry_uri=uri), tracker, run, version, model, trained


def test_the_run_holds_parameters_figures_with_intervals_and_the_curve(tracked):
    client, _, run, _, model, trained = tracked
    data = client.get_run(run).data
    assert data.params["config.target_metric"] == "pr_auc"
    assert data.params["param.eta"] == str(trained.candidate.params["eta"])
    assert data.metrics["roc_auc"] == pytest.approx(model.baseline["roc_auc"].value)
    assert data.metrics["roc_auc_low"] < data.metrics["roc_auc"] < data.metrics["roc_auc_high"]
    assert "precision" not in data.metrics  # undefined
    assert len(client.get_metric_history(run, "scored_log_loss")) == len(trained.candidate.curve)
    assert data.tags["assay.data_sha256"] == model.provenance["data_sha256"]
    assert data.tags["assay.digest"] == model.digest
    assert data.tags["assay.code"]


def test_curves_pictures_trials_and_constraints_lie_beside_it(tracked):
    client, _, run, *_ = tracked
    files = {one.path for one in client.list_artifacts(run)}
    assert {
        "curves.json",
        "pictures",
        "config.json",
        "table.json",
        "requirements.txt",
        "trials_xgboost.csv",
        "model",
    } <= files


def test_the_version_is_registered_with_its_alias_and_digest(tracked):
    client, tracker, run, version, model, _ = tracked
    found = client.get_model_version_by_alias("small", "challenger")
    assert (str(found.version), found.run_id, found.tags["assay.digest"]) == (version, run, model.digest)
    assert tracker.latest_version("small") == 1


def test_mlflow_loads_it_with_signature_and_example_and_scores_the_same(tracked):
    client, _, run, _, model, _ = tracked
    path = client.download_artifacts(run, "model")
    loaded = tracking.mlflow.pyfunc.load_model(path)
    names = [one.name for one in loaded.metadata.get_input_schema().inputs]
    assert names == list(model.features.columns)
    scores = loaded.predict(example(model, 5))["score"].to_numpy()
    np.testing.assert_array_equal(scores, model.scores(model.reference.head(5)))
    assert load_model(Path(path) / "data" / "model", digest=model.digest).ref == "small@1"


def test_the_code_it_needs_travels_with_it(tracked, tmp_path):
    client, _, run, *_ = tracked
    path = Path(client.download_artifacts(run, "model", str(tmp_path)))
    probe = f"from data.tabular.mlflow_form import _load_pyfunc; import data; print(data.__file__); _load_pyfunc({str(path / 'data' / 'model')!r})"
    done = subprocess.run([sys.executable, "-c", probe], cwd=path / "code", capture_output=True, text=True)
    assert done.stdout.startswith(str(path / "code")), done.stderr[-2000:]
    assert done.returncode == 0


def test_a_registry_out_of_reach_is_told_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(TrackingUnavailable, match="The model itself is saved"):
        TabularTracker(f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}", TrackingConfig()).latest_version("small")
