"""Resuming, and what preflight sees of encoder rows."""

import pytest

from data.errors import ModelUnavailable
from finetune.encoders import classifier, reader, training
from finetune.launch import Place
from finetune.preflight import look
from tests.finetune.encoders.conftest import question_rows, written
from tests.finetune.encoders.test_labelled import kind_rows

pytestmark = pytest.mark.slow  # imports torch
MAIN = Place()


class Killed(Exception):
    pass


def killed_at(step):
    def log(point):
        if point["step"] >= step:
            raise Killed

    return log


def test_a_run_that_was_killed_goes_on_from_its_checkpoint_to_the_same_loss(recipe_of, tmp_path):
    path = written(tmp_path / "rows.jsonl", kind_rows())
    overrides = ["train.max_steps=20", "train.save_steps=5", "train.eval_steps=5", "train.logging_steps=1"]

    def run(output, log=lambda point: None):
        recipe = recipe_of("classifier", path, *overrides, f"output={tmp_path / output}", labels=["toxic", "benign"])
        return classifier.train(recipe, classifier.prepare(recipe), MAIN, log)

    whole = run("whole")
    with pytest.raises(Killed):
        run("cut", killed_at(12))
    resumed = run("cut")
    assert resumed.facts["resumed_from"] == "checkpoint-10"
    assert resumed.facts["n_steps"] == 20

    def final(trained):
        return [point["loss"] for point in trained.curve if "loss" in point][-1]

    assert final(resumed) == pytest.approx(final(whole), abs=1e-3)
    assert resumed.metrics["auroc"].value == pytest.approx(whole.metrics["auroc"].value, abs=1e-6)


def test_preflight_finds_a_paragraph_that_is_on_both_sides(recipe_of, tmp_path):
    rows = question_rows()
    leaked = rows[3] | {"question": "who ?"}
    data = {
        "train": [{"path": str(written(tmp_path / "train.jsonl", rows[:80])), "licence": "CC0-1.0"}],
        "eval": [{"path": str(written(tmp_path / "eval.jsonl", [*rows[80:], leaked])), "licence": "CC0-1.0"}],
    }
    recipe = recipe_of("reader", tmp_path, data=data)
    report = look(recipe, reader.prepare(recipe))
    assert "leak" in {finding.code for finding in report.blocking}
    clean = recipe_of("reader", written(tmp_path / "rows.jsonl", rows))
    assert "leak" not in {finding.code for finding in look(clean, reader.prepare(clean)).findings}


def test_without_held_out_rows_training_still_runs_and_nothing_is_measured(recipe_of, tmp_path):
    path = written(tmp_path / "rows.jsonl", kind_rows())
    recipe = recipe_of(
        "classifier",
        path,
        "data.eval_share=0",
        "train.max_steps=3",
        "train.early_stopping=2",
        labels=["toxic", "benign"],
    )
    prepared = classifier.prepare(recipe)
    assert not prepared.eval
    trained = classifier.train(recipe, prepared, MAIN, lambda point: None)
    assert trained.facts["n_steps"] == 3
    assert trained.metrics == {}


def test_only_adapter_and_head_are_trained(recipe_of, tmp_path):
    from finetune.encoders.adapted_encoder import new_encoder
    from finetune.encoders.losses import span_loss

    model = new_encoder(recipe_of("reader", tmp_path), 2, "tokens", span_loss)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert all("lora_" in name or name.startswith("head.") for name in trained)
    per_layer = 4 * 8 * (32 + 32) + 2 * 8 * (32 + 64)
    assert training.n_trainable(model) == 2 * per_layer + 2 * 32 + 2


def test_an_adapter_begins_with_the_weights_of_another(recipe_of, tmp_path):
    import torch

    from finetune.encoders.adapted_encoder import new_encoder, save_encoder
    from finetune.encoders.losses import span_loss

    first = new_encoder(recipe_of("reader", tmp_path), 2, "tokens", span_loss)
    with torch.no_grad():
        for name, weight in first.named_parameters():
            if "lora_B" in name:
                weight.normal_()
    save_encoder(first, tmp_path / "first", recipe_of("reader", tmp_path).base, {})
    begun = recipe_of("grounding", tmp_path, f"lora.start_from={tmp_path / 'first'}")
    second = new_encoder(begun, 2, "mean", span_loss)
    mine, theirs = ({n: w for n, w in m.named_parameters() if "lora_" in n} for m in (first, second))
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    with pytest.raises(ModelUnavailable, match=r"another shape: .* is .* there and .* here"):
        new_encoder(
            recipe_of("grounding", tmp_path, f"lora.start_from={tmp_path / 'first'}", "lora.r=4"), 2, "mean", span_loss
        )
    with pytest.raises(ModelUnavailable, match="where no adapter_model"):
        new_encoder(recipe_of("grounding", tmp_path, f"lora.start_from={tmp_path}"), 2, "mean", span_loss)
