"""The command as people run it: launched, killed, on two ranks; what needs no process of its own runs in this one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from finetune.train import main
from tests.finetune.conftest import conversation

ROOT = Path(__file__).parent.parent.parent
THINGS = ["lamp", "desk", "door", "roof", "wall", "lock", "pipe", "sink", "fan", "tap"]
COLOURS = ["red", "blue", "green", "white", "black"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def recipe_file(tmp_path, rows_file, toy):
    """A recipe on the toy with 40 training rows and 10 held out, as a file."""
    pairs = [(t, c) for t in THINGS for c in COLOURS]
    rows = [conversation(f"In the {c} house of {t} makers, what is missing?", f"The {t} is {c}.") for t, c in pairs]
    held_out = [conversation(f"Name the owner of {t} number {i}.", f"Owner {i}") for i, t in enumerate(THINGS)]
    recipe = {
        "kind": "sft",
        "name": "small",
        "base": {"path": str(toy)},
        "output": str(tmp_path / "out"),
        "data": {
            "train": [{"path": str(rows_file(rows[:40], "train.jsonl")), "licence": "CC0-1.0"}],
            "eval": [{"path": str(rows_file(held_out, "eval.jsonl")), "licence": "CC0-1.0"}],
        },
        "lora": {"r": 4, "alpha": 8, "dropout": 0.1},
        "train": {
            "max_length": 64,
            "batch_size": 2,
            "packing": False,
            "learning_rate": 2e-3,
            "max_steps": 24,
            "warmup_steps": 2,
            "save_steps": 6,
            "logging_steps": 1,
            "early_stopping": None,
            "gradient_checkpointing": False,
        },
        "preflight": {"suites": []},
        "parity": {"n_prompts": 2, "max_new_tokens": 4},
        "tracking": {"enabled": False},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def launched(*arguments: object, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    command = [sys.executable, *launcher, "-m", "finetune.train", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=500)


def curve(folder: Path) -> dict[int, float]:
    points = map(json.loads, (folder / "small" / "adapter" / "curve.jsonl").read_text().splitlines())
    return {int(point["step"]): point["loss"] for point in points if "loss" in point}


@pytest.mark.slow
def test_accelerate_launch_runs_a_recipe_to_a_registered_adapter(recipe_file, tmp_path):
    accelerate = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    out = launched(
        recipe_file, "tracking.enabled=true", f"tracking.uri={uri}", "train.packing=true", launcher=accelerate
    )
    assert out.returncode == 0, out.stderr[-3000:]
    assert "registered: models:/small/1, alias challenger" in out.stderr
    folder = tmp_path / "out" / "small" / "adapter"
    names = {path.name for path in folder.iterdir()}
    assert {
        "adapter_model.safetensors",
        "README.md",
        "manifest.json",
        "recipe.yaml",
        "curve.jsonl",
        "parity.json",
    } <= names
    assert not any(name.endswith((".bin", ".pt")) for name in names)

    from mlflow import MlflowClient

    client = MlflowClient(uri, uri)
    version = client.get_model_version_by_alias("small", "challenger")
    run = client.get_run(version.run_id)
    assert run.data.params["train.learning_rate"] == "0.002"
    assert run.data.metrics["heldout_loss_low"] <= run.data.metrics["heldout_loss"]
    assert len(client.get_metric_history(version.run_id, "loss")) == 24
    assert {f.path for f in client.list_artifacts(version.run_id, "adapter")} >= {
        "adapter/README.md",
        "adapter/manifest.json",
    }


@pytest.mark.slow
def test_a_run_killed_in_the_middle_ends_where_an_uninterrupted_one_does(recipe_file, tmp_path):
    assert main([str(recipe_file), f"output={tmp_path}/whole"]) == 0
    command = [sys.executable, "-m", "finetune.train", str(recipe_file), f"output={tmp_path}/killed"]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 300
        while not list((tmp_path / "killed").rglob("checkpoint-6/trainer_state.json")):
            assert process.poll() is None, "it ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "killed" / "small" / "adapter").exists()

    assert main([str(recipe_file), f"output={tmp_path}/killed"]) == 0
    manifest = (tmp_path / "killed" / "small" / "adapter" / "README.md").read_text()
    assert "resumed from: checkpoint-" in manifest
    expected, found = curve(tmp_path / "whole"), curve(tmp_path / "killed")
    assert expected[24] < expected[1] - 0.3, "it must learn for its end to mean anything"
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_two_ranks_train_as_one_process_with_twice_the_batch(recipe_file, tmp_path):
    ranks = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    shared = ("lora.dropout=0", "train.max_steps=10")
    two = launched(recipe_file, f"output={tmp_path}/two", "train.world_size=2", *shared, launcher=ranks)
    assert two.returncode == 0, two.stderr[-3000:]
    assert main([str(recipe_file), f"output={tmp_path}/one", "train.batch_size=4", *shared]) == 0
    expected = curve(tmp_path / "one")
    assert expected[10] < expected[1] - 0.1
    assert curve(tmp_path / "two") == pytest.approx(expected, abs=2e-3)


@pytest.mark.slow
def test_accelerate_that_silently_runs_one_process_of_two_is_stopped(recipe_file):
    accelerate = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2")
    out = launched(recipe_file, launcher=accelerate)
    assert "the launcher asks for 2 processes and there is 1" in out.stderr
    assert f"python -m torch.distributed.run --nproc_per_node 2 -m finetune.train {recipe_file}" in out.stderr
    assert out.returncode != 0


@pytest.mark.slow
def test_a_wrong_recipe_ends_with_two_and_no_traceback(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("kind: sft\n")
    out = launched(path)
    assert out.returncode == 2
    assert "name: is missing" in out.stderr
    assert "Traceback" not in out.stderr


@pytest.mark.slow
def test_a_planted_leak_stops_the_run_before_its_first_step(recipe_file, tmp_path, capsys):
    train, held_out = tmp_path / "train.jsonl", tmp_path / "eval.jsonl"
    train.write_text(train.read_text() + held_out.read_text().splitlines()[0].replace("Name the", "NAME  the") + "\n")
    assert main([str(recipe_file)]) == 2
    assert "leak: Remove these training rows: train.jsonl:41" in capsys.readouterr().err
    assert not (tmp_path / "out" / "small").exists()
