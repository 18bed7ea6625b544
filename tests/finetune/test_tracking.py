import pytest

from finetune.kinds import Measured
from finetune.recipe import parse_recipe


@pytest.fixture
def recipe(tmp_path):
    return parse_recipe(
        {
            "kind": "sft",
            "name": "small",
            "base": {"path": "x"},
            "data": {"train": [{"path": "rows.jsonl", "licence": "MIT"}]},
            "tracking": {"uri": f"sqlite:///{tmp_path}/db/mlflow.db"},
        }
    )


@pytest.mark.slow
def test_a_run_keeps_every_point_and_each_registration_is_a_version_with_the_alias(recipe, tmp_path):
    from mlflow import MlflowClient

    from finetune.tracking import TrackedRun

    client = MlflowClient(recipe.tracking.uri, recipe.tracking.uri)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "README.md").write_text("card")
    for number in (1, 2):
        run = TrackedRun(recipe, {"python": "3.11"})
        for step in range(1, 301):
            run.log({"step": step, "loss": 1 / step, "grad_norm": 1.0, "learning_rate": 0.1, "epoch": step / 300})
        run.log_results({"heldout_loss": Measured(1.0, 0.5, 1.5, 9)}, adapter, {"parity": "passed"})
        assert run.register({"adapter_digest": "d"}) == f"small@{number}"
        run.finish()
        history = client.get_metric_history(run.id, "loss")
        assert {point.step: point.value for point in history} == {step: 1 / step for step in range(1, 301)}
        assert client.get_run(run.id).info.status == "FINISHED"
        version = client.get_model_version_by_alias("small", "challenger")
        assert (str(version.version), version.tags["adapter_digest"]) == (str(number), "d")
        assert client.get_run(run.id).data.metrics["heldout_loss_high"] == 1.5
    assert (tmp_path / "db" / "mlartifacts").is_dir()


@pytest.mark.slow
def test_an_mlflow_that_does_not_answer_says_which_field_to_mend(recipe):
    from finetune.tracking import TrackedRun, TrackingUnavailable

    there = recipe.tracking.model_copy(update={"uri": "nonsense://nowhere"})
    with pytest.raises(TrackingUnavailable, match=r"Mend tracking\.uri"):
        TrackedRun(recipe.model_copy(update={"tracking": there}), {})
