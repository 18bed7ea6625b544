"""Detoxify itself, from a checkpoint of random weights that is made here."""

import sys

import pytest

from data.errors import InvalidInput, MissingExtra
from data.records import Sample
from evals.scorers.toxicity import ToxicityScorer
from tests.evals.observations import answered

CLASSES = ["toxic", "severe_toxic", "insult"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "you", "are", "a", "fool", "friend", "."]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    pytest.importorskip("detoxify")
    folder = tmp_path_factory.mktemp("detoxify")
    files = folder / "files"
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32, num_labels=len(CLASSES),
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config)
    config.save_pretrained(files)
    (files / "vocab.txt").write_text("\n".join(WORDS))
    (files / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "model_max_length": 32}')
    arch = {
        "num_classes": len(CLASSES),
        "model_type": str(files),
        "model_name": "BertForSequenceClassification",
        "tokenizer_name": "BertTokenizer",
    }
    made = {
        "state_dict": model.state_dict(),
        "config": {"arch": {"type": "BERT", "args": arch}, "dataset": {"args": {"classes": CLASSES}}},
    }
    torch.save(made, folder / "toy.ckpt")
    return folder / "toy.ckpt", files, model


@pytest.mark.slow
def test_the_scores_are_those_of_the_checkpoints_own_weights(checkpoint):
    import torch

    from evals.scorers.detoxify_model import DetoxifyModel

    path, files, weights = checkpoint
    model = DetoxifyModel(path, files)
    both, alone = model(["you are a fool .", "friend"]), model(["friend"])
    with torch.no_grad():
        logits = weights.eval()(input_ids=torch.tensor([[2, 5, 6, 7, 8, 10, 3]])).logits
    assert both[0] == pytest.approx(float(torch.sigmoid(logits)[0, 0]), abs=1e-5)
    assert both[1] == pytest.approx(alone[0], abs=1e-5)
    assert both[0] != both[1]
    (score,) = ToxicityScorer(model).score(Sample(id="1", question="?"), answered("you are a fool ."))
    assert score.value == pytest.approx(both[0], abs=1e-5)
    assert model.id in ToxicityScorer(model).id


@pytest.mark.slow
def test_a_checkpoint_that_would_run_code_is_refused_before_it_runs(tmp_path):
    import torch

    from evals.scorers.detoxify_model import DetoxifyModel

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "was-run"), "w"))

    torch.save({"state_dict": Trap(), "config": {}}, tmp_path / "trap.ckpt")
    with pytest.raises(InvalidInput, match="could run code"):
        DetoxifyModel(tmp_path / "trap.ckpt")(["x"])
    assert not (tmp_path / "was-run").exists()


@pytest.mark.slow
def test_a_file_that_is_no_checkpoint_is_told(tmp_path):
    import torch

    from evals.scorers.detoxify_model import DetoxifyModel

    torch.save({"state_dict": {}}, tmp_path / "half.ckpt")
    with pytest.raises(InvalidInput, match=r"half\.ckpt"):
        DetoxifyModel(tmp_path / "half.ckpt")(["x"])


@pytest.mark.slow
def test_without_detoxify_the_message_names_the_command_that_installs_it(monkeypatch, tmp_path):
    from app.settings import Settings
    from app.wiring import build_detoxify
    from evals.config import EvalsConfig

    (tmp_path / "x.ckpt").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "detoxify", None)
    monkeypatch.delitem(sys.modules, "evals.scorers.detoxify_model", raising=False)
    settings = Settings(home=tmp_path, evals=EvalsConfig(detoxify=tmp_path / "x.ckpt"))
    with pytest.raises(MissingExtra, match=r"'detoxify'.*'\.\[evals\]'"):
        build_detoxify(settings)


def test_a_checkpoint_that_is_not_there_is_told_at_once(tmp_path):
    from app.settings import Settings
    from app.wiring import build_detoxify
    from evals.config import EvalsConfig

    with pytest.raises(InvalidInput, match="no Detoxify checkpoint"):
        build_detoxify(Settings(home=tmp_path, evals=EvalsConfig(detoxify=tmp_path / "none.ckpt")))
