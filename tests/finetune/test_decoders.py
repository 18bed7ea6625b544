"""Each decoder kind trained for a few steps on the toy, and its forms compared: sft, nf4, raft, toy, dpo; merge, parity, card."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoTokenizer, GenerationConfig

from data.errors import InvalidInput
from finetune import dpo, sft
from finetune.card import Told, card_text
from finetune.conversations import rendered_ids
from finetune.decoder_metrics import row_losses
from finetune.decoder_model import base_digest, load_base, merged, with_adapter
from finetune.decoder_outcome import check_forms
from finetune.decoder_recipes import DecoderBase
from finetune.examples import IGNORED
from finetune.hugging_face_form import HuggingFaceForm
from finetune.launch import Place
from finetune.merge import merge
from finetune.preflight import look, main
from finetune.served import check_served
from finetune.toy_tasks import catalogue, preference_rows, ticket_rows
from tests.finetune.conftest import conversation

pytestmark = pytest.mark.slow
ROWS = [
    conversation(f"Which colour has the {t} of house {i}?", f"{t} {i} is red")
    for i, t in enumerate(["lamp", "desk", "door", "roof"] * 6)
]


def trained(recipe, kind=sft):
    prepared = kind.prepare(recipe)
    points: list[dict] = []
    return prepared, kind.train(recipe, prepared, Place(), points.append), points


@pytest.fixture
def run(recipe_of, rows_file):
    recipe = recipe_of(rows_file(ROWS[:20], "t.jsonl"), held_out=rows_file(ROWS[20:], "e.jsonl"))
    return recipe, *trained(recipe)


def test_an_adapter_is_trained_packed_measured_and_alike_in_all_forms(run):
    recipe, prepared, result, points = run
    weights = load_file(result.folder / "adapter_model.safetensors")
    assert any(tensor.abs().sum() > 0 for name, tensor in weights.items() if "lora_B" in name)
    assert [p["step"] for p in points if "loss" in p] == [1, 2, 3, 4]
    loss = result.metrics["heldout_loss"]
    assert loss.low <= loss.value <= loss.high
    assert loss.n == 4
    assert loss.value < result.metrics["heldout_loss_base"].value
    report = sft.check_parity(recipe, prepared, result, None)
    assert report.is_passed, report.mismatches
    assert report.compared == ("base with adapter", "merged")
    assert "no server was given" in report.skipped[0]

    told = Told(recipe, result, look(recipe, prepared), report, prepared.files, {"python": "3"})
    text = card_text(told)
    header = yaml.safe_load(text.split("---")[1])
    assert header["library_name"] == "peft"
    assert header["model-index"][0]["results"][0]["metrics"][0]["value"] == round(loss.value, 4)
    assert prepared.files[0].sha256 in text
    assert "CC0-1.0" in text
    assert "Set card.limits in the recipe" in text

    changed = AutoTokenizer.from_pretrained(result.folder)
    changed.chat_template = changed.chat_template.replace("'\\n'", "' \\n'", 1)
    changed.save_pretrained(result.folder)
    planted = sft.check_parity(recipe, prepared, result, None)
    assert {(m.check, m.between[1]) for m in planted.mismatches} == {("template", "base with adapter")}


def test_a_run_that_gets_no_better_on_held_out_rows_stops_early(recipe_of, rows_file):
    options = ("train.max_steps=40", "train.eval_steps=2", "train.early_stopping=2", "train.learning_rate=1e-12")
    recipe = recipe_of(rows_file(ROWS[:20], "t.jsonl"), *options, held_out=rows_file(ROWS[20:], "e.jsonl"))
    _, result, _ = trained(recipe)
    assert result.facts["n_steps"] == 6  # the first evaluation is the best, the next two are no better


def test_a_base_that_stops_at_another_token_fails_parity(run, tmp_path, toy):
    recipe, prepared, result, _ = run
    other = shutil.copytree(toy, tmp_path / "other")
    GenerationConfig(eos_token_id=5, pad_token_id=0).save_pretrained(other)
    recipe = recipe.model_copy(update={"base": DecoderBase(path=str(other))})
    report = check_forms(recipe, result.folder, sft.cases_of(recipe, prepared), sft.stop_id_of(prepared.train), None)
    assert "stop_token" in {m.check for m in report.mismatches}
    assert any("the base stops at [5]" in m.detail for m in report.mismatches)


def test_a_server_with_another_adapter_fails_parity_with_its_place(run):
    recipe, prepared, result, _ = run
    model = with_adapter(recipe.base, result.folder, bf16=False)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight += 0.05
    served = HuggingFaceForm("served", model, prepared.aids)
    (result.folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    report = check_served(result.folder, served)
    assert report.compared == ("base with adapter", "merged", "served")
    wrong = [m for m in report.mismatches if m.check == "logprobs"]
    assert wrong
    assert wrong[0].between == ("base with adapter", "served")
    assert "e.jsonl:" in wrong[0].where


def test_a_merged_folder_says_what_base_and_adapter_say_and_a_quantised_base_is_refused(run, tmp_path):
    recipe, prepared, result, _ = run
    out = merge(result.folder, tmp_path / "merged")
    alone = HuggingFaceForm("merged", load_base(DecoderBase(path=str(out)), bf16=False).eval(), prepared.aids)
    both = HuggingFaceForm("both", with_adapter(recipe.base, result.folder, bf16=False), prepared.aids)
    ids = prepared.eval[0].input_ids
    assert alone.logprobs(ids) == pytest.approx(both.logprobs(ids), abs=1e-4)
    assert base_digest(DecoderBase(path=str(out))) != result.base_digest == base_digest(recipe.base)

    in_4_bits = recipe.base.model_copy(update={"quantise": "nf4"})
    with pytest.raises(InvalidInput, match="merging would round the adapter away"):
        merged(with_adapter(in_4_bits, result.folder, bf16=False))


def test_row_losses_in_a_padded_batch_are_those_of_each_row_alone(run):
    recipe, prepared, result, _ = run
    model = with_adapter(recipe.base, result.folder, bf16=False)
    form = HuggingFaceForm("x", model, prepared.aids)
    rows = (*prepared.eval, *prepared.train[:3])
    for example, found in zip(rows, row_losses(model, rows, 4), strict=True):
        scores = form.logprobs(example.input_ids)
        alone = -sum(s for s, label in zip(scores, example.labels[1:], strict=True) if label != IGNORED)
        assert found.nats == pytest.approx(alone, rel=1e-4)
        assert found.n_tokens == example.n_trainable


def test_length_grouping_halves_the_padding(recipe_of, rows_file):
    rows = rows_file([conversation(f"Say {i} " + "word " * (i % 2 * 30), f"yes {i}") for i in range(80)])
    held_out = rows_file(ROWS[:3], "e.jsonl")
    padded = {}
    for grouping in ("true", "false"):
        options = ("train.packing=false", f"train.length_grouping={grouping}", "train.max_length=256")
        recipe = recipe_of(rows, *options, held_out=held_out)
        prepared = sft.prepare(recipe)
        trainer = sft.SFTTrainer(
            model=load_base(recipe.base, bf16=False),
            args=sft.sft_config(recipe, Place()),
            train_dataset=sft.dataset_of(prepared.train),
            eval_dataset=sft.dataset_of(prepared.eval),
            processing_class=prepared.aids,
        )
        batches = list(trainer.get_train_dataloader())
        assert len(batches) == 40
        padded[grouping] = sum(int((batch["attention_mask"] == 0).sum()) for batch in batches)
    assert padded["true"] < padded["false"] / 2


@pytest.mark.filterwarnings("ignore:Paged optimizers are not supported on CPU")
def test_a_four_bit_base_trains_with_checkpointing_and_compares_unquantised(recipe_of, rows_file):
    options = (
        "base.quantise=nf4",
        "train.gradient_checkpointing=true",
        "train.max_steps=2",
        "train.optimizer=paged_adamw_8bit",
    )
    recipe = recipe_of(rows_file(ROWS[:20], "t.jsonl"), *options, held_out=rows_file(ROWS[20:], "e.jsonl"))
    prepared, result, _ = trained(recipe)
    assert load_base(recipe.base, bf16=False).config.quantization_config.bnb_4bit_quant_type == "nf4"
    assert sft.check_parity(recipe, prepared, result, None).is_passed


def test_preferences_raise_the_chosen_answer_over_the_rejected(recipe_of, rows_file):
    options = ("train.max_steps=12", "train.learning_rate=5e-3", "train.batch_size=4", "preflight.near_duplicate=1.0")
    recipe = recipe_of(rows_file(preference_rows(48)), *options, kind="dpo")
    prepared, result, points = trained(recipe, dpo)
    margins = [p["rewards/margins"] for p in points if "rewards/margins" in p]
    assert margins[-1] > margins[0] + 0.1
    assert dpo.check_parity(recipe, prepared, result, None).is_passed


def test_retrieval_augmented_rows_are_built_trained_and_cite(recipe_of, rows_file, toy):
    chunks, questions = catalogue()
    source = {"licence": "CC0-1.0"}
    data = {
        "train": [source | {"path": str(rows_file(questions[:30], "q.jsonl"))}],
        "chunks": [source | {"path": str(rows_file(chunks, "c.jsonl"))}],
    }
    options = ("train.max_length=2048", "train.max_steps=1", "data.eval_share=0.2")
    recipe = recipe_of(Path("unused"), *options, kind="raft", data=data)
    prepared, result, _ = trained(recipe)
    answers = {e.answer for e in prepared.train}
    assert "I don't know." in answers
    assert any(answer.endswith("]") for answer in answers)
    assert [f.role for f in prepared.files] == ["train", "chunks"]
    assert sft.check_parity(recipe, prepared, result, None).is_passed


def test_the_toy_kind_makes_its_base_once(recipe_of, rows_file, tmp_path):
    rows, held_out = ticket_rows("team", 20, 6)
    toy = {"vocab_size": 400, "hidden_size": 32, "n_layers": 1, "steps": 1}
    options = (f"base.path={tmp_path}/made", "train.max_steps=1")
    recipe = recipe_of(
        rows_file(rows, "t.jsonl"), *options, held_out=rows_file(held_out, "e.jsonl"), kind="toy", toy=toy
    )
    sft.prepare(recipe)
    made = base_digest(recipe.base)
    sft.prepare(recipe)
    assert base_digest(recipe.base) == made
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "made")
    text = tokenizer.decode(
        rendered_ids(tokenizer, [{"role": "user", "content": "Grüße 好"}], add_generation_prompt=True)
    )
    assert text == "<|im_start|>user\nGrüße 好<|im_end|>\n<|im_start|>assistant\n"


def test_preflight_prints_json_and_blocks_with_two(rows_file, toy, tmp_path, capsys):
    rows = [*ROWS[:20], conversation("Who is it?", "somebody@example.org"), conversation("word " * 80, "never read")]
    given = {
        "kind": "sft",
        "name": "small",
        "base": {"path": str(toy)},
        "data": {"train": [{"path": str(rows_file(rows)), "licence": "CC0-1.0"}], "eval_share": 0.3},
        "train": {"max_length": 64},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(given))
    assert main([str(path), "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    blocking = {f["code"] for f in report["findings"] if f["is_blocking"]}
    assert {"personal_data", "no_trainable_token"} <= blocking
    assert main([str(path)]) == 2
    shown = capsys.readouterr().out
    assert "BLOCKS personal_data" in shown
    assert "<|im_start|>user" in shown
