import json
from threading import Barrier, Thread

import numpy as np
import pandas as pd
import pytest

from data.errors import InvalidInput, NotFound
from data.tabular.model_files import TamperedModel, digest_of, load_model, save_model, spec_of
from serving.registry import verified_digest
from tests.data.tabular.small_model import small_model
from tests.data.tabular.small_table import loans_frame

SLOW = [pytest.param("random_forest", marks=pytest.mark.slow), pytest.param("xgboost", marks=pytest.mark.slow)]


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "loans@1"
    return save_model(small_model(), folder, extra={"README.md": b"# Loans\n"}), folder


@pytest.mark.parametrize("kind", ["logistic_regression", *SLOW])
def test_what_is_loaded_scores_the_same_bits(kind, tmp_path):
    model = small_model(kind)
    kept = save_model(model, tmp_path / "loans@1")
    again = load_model(tmp_path / "loans@1", digest=kept.digest)
    frame = loans_frame(50)
    assert again.scores(frame).tobytes() == model.scores(frame).tobytes()
    assert again.kind == kind
    assert (again.spec, again.threshold, again.costs) == (model.spec, model.threshold, model.costs)
    assert list(again.spec.columns) == list(model.spec.columns)
    assert again.features.digest == model.features.digest
    assert again.baseline["roc_auc"] == model.baseline["roc_auc"]
    assert np.isnan(again.baseline["precision"].low)
    assert again.provenance == model.provenance
    pd.testing.assert_frame_equal(again.reference, model.reference)


def test_a_changed_file_is_refused_by_name(saved):
    for name in ("model.json", "features.json", "estimator.json", "reference.parquet", "spec.json", "README.md"):
        path = saved[1] / name
        before = path.read_bytes()
        path.write_bytes(before[:-2] + b"7" + before[-1:])
        with pytest.raises(TamperedModel, match=rf"{name} in .* was changed"):
            load_model(saved[1])
        path.write_bytes(before)
    assert load_model(saved[1]).digest == saved[0].digest


def test_a_missing_and_an_extra_file_are_refused(saved):
    (saved[1] / "more.json").write_text("{}")
    with pytest.raises(TamperedModel, match=r"more\.json in .* is not in the manifest"):
        load_model(saved[1])
    (saved[1] / "more.json").unlink()
    (saved[1] / "features.json").unlink()
    with pytest.raises(TamperedModel, match=r"features\.json in .* is missing"):
        load_model(saved[1])


def test_a_link_to_an_equal_file_is_refused(saved, tmp_path):
    path = saved[1] / "features.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(TamperedModel, match="no plain file"):
        load_model(saved[1])


def test_a_manifest_made_to_fit_the_changed_file_is_not_the_registered_one(saved):
    manifest = json.loads((saved[1] / "manifest.json").read_text())
    manifest["files"]["README.md"]["sha256"] = "0" * 64
    (saved[1] / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TamperedModel, match="says digest"):
        load_model(saved[1])


def test_another_whole_model_is_refused_where_a_digest_was_registered(saved):
    with pytest.raises(TamperedModel, match="was registered"):
        load_model(saved[1], digest="ab" * 32)


@pytest.mark.parametrize("text", ["", "[]", '{"files": {"../x": {"sha256": "0"}}, "format": 1}', '{"files": 3}'])
def test_a_manifest_that_is_none_is_refused(saved, text):
    (saved[1] / "manifest.json").write_text(text)
    with pytest.raises(TamperedModel, match="is no manifest"):
        load_model(saved[1])


def test_a_folder_without_a_model_is_told_so(tmp_path):
    with pytest.raises(NotFound, match="holds no model"):
        load_model(tmp_path)


def test_a_saved_model_is_never_overwritten(saved):
    with pytest.raises(InvalidInput, match="there already"):
        save_model(small_model(threshold=0.5), saved[1])
    assert load_model(saved[1]).threshold == 0.4


def test_of_two_that_save_the_same_version_one_is_kept_whole(tmp_path):
    start, refused = Barrier(2), []

    def save(threshold):
        start.wait()
        try:
            save_model(small_model(threshold=threshold), tmp_path / "loans@1")
        except InvalidInput:
            refused.append(threshold)

    threads = [Thread(target=save, args=(t,)) for t in (0.25, 0.75)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(refused) == 1
    assert load_model(tmp_path / "loans@1").threshold == 1 - refused[0]
    assert [path.name for path in tmp_path.iterdir()] == ["loans@1"]


@pytest.mark.parametrize("name", ["manifest.json", "model.json", "estimator.json", "a/b", "../x", ".hidden"])
def test_an_extra_file_takes_no_name_of_the_models_own(name, tmp_path):
    with pytest.raises(InvalidInput, match="cannot stand beside"):
        save_model(small_model(), tmp_path / "loans@1", extra={name: b""})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("field", "value"), [("name", "Loans"), ("name", "a/b"), ("version", ""), ("version", "../2")])
def test_names_that_are_no_folder_names_are_refused(field, value, tmp_path):
    with pytest.raises(InvalidInput, match=f"is no model {field}"):
        save_model(small_model(**{field: value}), tmp_path / "loans@1")


def test_the_rollouts_store_takes_a_tabular_folder_and_names_it_alike(saved):
    assert verified_digest(saved[1]) == saved[0].digest == digest_of(saved[1])


def test_the_contract_is_read_without_the_estimator(saved):
    assert spec_of(saved[1]) == saved[0].spec
