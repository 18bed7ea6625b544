import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from data.errors import InvalidInput, NotFound
from finetune import decoder_recipes, encoder_recipes, recipe_parts
from finetune.recipe import KINDS, RECIPES, load_recipe, overridden, parse_recipe, training_digest

SFT = {
    "kind": "sft",
    "name": "a",
    "base": {"path": "x"},
    "data": {"train": [{"path": "rows.jsonl", "licence": "MIT"}]},
}
SHARED = "shared"
"""Data beside the project: not everywhere."""


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_loads_and_opens_with_the_command_that_runs_it(path):
    recipe = load_recipe(path)
    first = path.read_text().splitlines()[0]
    assert first == f"# accelerate launch -m finetune.train finetune/recipes/{path.name}"
    assert recipe.kind in KINDS
    for source in recipe.data.train:
        assert source.path.exists() or SHARED in source.path.parts, source


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_finds_its_data(path, shared_data):
    for source in load_recipe(path).data.train:
        assert source.path.exists(), source


@pytest.mark.slow
def test_loading_recipes_imports_nothing_heavy():
    heavy = ["torch", "transformers", "trl", "peft", "datasets", "mlflow", "accelerate"]
    probe = f"import sys, finetune.recipe, finetune.train; print([m for m in {heavy} if m in sys.modules])"
    root = Path(recipe_parts.__file__).parent.parent
    out = subprocess.run([sys.executable, "-c", probe], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("module", [recipe_parts, decoder_recipes, encoder_recipes])
def test_every_field_has_a_docstring(module):
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            for field, after in zip(node.body, [*node.body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign):
                    assert isinstance(after, ast.Expr), f"{node.name}.{field.target.id}"


def test_all_errors_are_told_at_once_each_with_its_edit():
    wrong = SFT | {
        "train": {"learning_rte": 1, "epochs": "many"},
        "base": {"path": "x", "quantize": "nf4"},
        "data": {"train": [{"path": "a"}]},
    }
    with pytest.raises(InvalidInput) as error:
        parse_recipe(wrong, "mine.yaml")
    told = str(error.value)
    assert "mine.yaml has 4 errors" in told
    assert "train.learning_rte: there is no such field. Rename it to `learning_rate`." in told
    assert "base.quantize: there is no such field. Rename it to `quantise`." in told
    assert "train.epochs: 'many' is not allowed" in told
    assert "data.train.0.licence: is missing. Add `data.train.0.licence=...`" in told


def test_an_unknown_kind_names_those_there_are():
    with pytest.raises(InvalidInput, match=r"'sfft' is none\. Write one of sft, dpo, raft"):
        parse_recipe({"kind": "sfft"})


def test_overrides_are_read_as_yaml_and_reach_into_lists():
    given = overridden(
        SFT,
        [
            "train.learning_rate=1e-4",
            "lora.target_modules=[q_proj, v_proj]",
            "data.train.0.path=b.jsonl",
            "train.early_stopping=null",
        ],
    )
    recipe = parse_recipe(given)
    assert recipe.train.learning_rate == 1e-4
    assert recipe.lora.target_modules == ("q_proj", "v_proj")
    assert recipe.data.train[0].path == Path("b.jsonl")
    assert recipe.train.early_stopping is None
    assert SFT["data"]["train"][0]["path"] == "rows.jsonl"


@pytest.mark.parametrize(
    "override", ["train.epochs", "=1", "train..epochs=1", "data.train.7.path=x", "name.first=x", "lora.r=[1"]
)
def test_a_malformed_override_is_refused(override):
    with pytest.raises(InvalidInput, match=r"override|YAML|fit"):
        overridden(SFT, [override])


def test_a_missing_recipe_names_those_there_are():
    with pytest.raises(NotFound, match=r"sft_lora\.yaml"):
        load_recipe(Path("nowhere.yaml"))


def test_packing_and_length_grouping_exclude_each_other():
    with pytest.raises(InvalidInput, match="set packing=false or length_grouping=false"):
        parse_recipe(overridden(SFT, ["train.length_grouping=true"]))


def test_a_checkpoint_is_anothers_when_the_weights_would_differ_and_ones_own_otherwise():
    plain = training_digest(parse_recipe(SFT))
    assert training_digest(parse_recipe(overridden(SFT, ["train.learning_rate=1e-3"]))) != plain
    assert training_digest(parse_recipe(overridden(SFT, ["card.limits=none", "tracking.enabled=false"]))) == plain


def test_accelerate_configurations_parse_and_name_their_command():
    from accelerate.commands.config.config_args import load_config_from_file

    paths = sorted((RECIPES.parent / "accelerate").glob("*.yaml"))
    assert {load_config_from_file(str(path)).distributed_type.value for path in paths} == {
        "FSDP",
        "DEEPSPEED",
        "MULTI_GPU",
    }
    for path in paths:
        assert f"--config_file finetune/accelerate/{path.name}" in path.read_text()
        assert yaml.safe_load(path.read_text())["num_processes"] > 1
