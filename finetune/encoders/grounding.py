"""Kind `grounding`: whether a premise supports a hypothesis. A linear head over the two texts read together, weighed with
token recall, which needs no training."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from data.focus import focused
from data.token_recall import log_odds, token_recall, weighed
from finetune.encoder_recipes import GroundingRecipe
from finetune.encoders.adapted_encoder import AdaptedEncoder, load_tokenizer
from finetune.encoders.batches import Item, states_of
from finetune.encoders.built_rows import BuiltRow, parted_rows
from finetune.encoders.forms import check_head
from finetune.encoders.labelled import Judged, item_of, prepared_labels, train_labels
from finetune.encoders.squad_pairs import GROUNDING_FORMATS
from finetune.examples import Example, Prepared
from finetune.kinds import Log, Trained
from finetune.launch import Place
from finetune.parity_report import ParityReport, Remote
from finetune.rows import need_rows
from finetune.trainer_settings import uses_bf16

AT_ONCE = 512
"""Pairs whose token states are held at a time."""


def prepare(recipe: GroundingRecipe) -> Prepared:
    """Read and part the rows by document; of a long premise the sentences nearest the hypothesis are read."""
    parted = parted_rows(recipe, GROUNDING_FORMATS)
    need_rows(len(parted.train), parted.dropped, "train")
    return prepared_labels(recipe, parted, load_tokenizer(recipe.base), _texts)


def train(recipe: GroundingRecipe, prepared: Prepared, place: Place, log: Log) -> Trained:
    """Train, save, and measure what was saved, source by source."""
    config = {"kind": "grounding", "reads": ["premise", "hypothesis"], "premise": "focused"}

    def settle(model: AdaptedEncoder, judged: Sequence[Judged]) -> tuple[dict[str, Any], Sequence[Judged]]:
        recalls = [
            recall
            for start in range(0, len(prepared.eval), AT_ONCE)
            for recall in _recalls(recipe, prepared.eval[start : start + AT_ONCE], model)
        ]
        if not (worth := worths(judged, recalls)):
            return {}, judged
        return {"beside": worth}, [
            dataclasses.replace(one, probability=weighed(worth, one.probability, recall))
            for one, recall in zip(judged, recalls, strict=True)
        ]

    return train_labels(recipe, prepared, place, log, config, settle=settle)


def worths(judged: Sequence[Judged], recalls: Sequence[float]) -> dict[str, float]:
    """What the adapter's log-odds and token recall are worth, and a constant; nothing where the rows have one label only.

    Both count alike, in standard deviations: fitted on sources that the adapter was trained on, recall would be worth nothing, and on
    others it is worth most. Only how much their sum says is fitted (logistic regression; sources and labels weigh alike).
    """
    own = [(one, recall) for one, recall in zip(judged, recalls, strict=True) if not one.is_left_out]
    labels = np.array([one.label == 0 for one, _ in own])
    if not len(labels) or labels.all() or not labels.any():
        return {}
    x = np.array([[log_odds(one.probability), recall] for one, recall in own])
    spread = x.std(0)
    spread[spread == 0] = 1
    n_of = Counter((one.source, one.label == 0) for one, _ in own)
    weights = [len(own) / len(n_of) / n_of[one.source, one.label == 0] for one, _ in own]
    fit = LogisticRegression().fit((x / spread).sum(1, keepdims=True), labels, sample_weight=weights)
    odds, recall = fit.coef_[0, 0] / spread
    return {
        "constant": round(float(fit.intercept_[0]), 5),
        "odds": round(float(odds), 5),
        "recall": round(float(recall), 5),
    }


def _recalls(recipe: GroundingRecipe, examples: Sequence[Example], model: AdaptedEncoder) -> Iterator[float]:
    alone = [side for example in examples for side in _apart(item_of(example))]
    with model.backbone.disable_adapter():
        states = states_of(model.backbone, alone, recipe.train.batch_size * 2, bf16=uses_bf16(recipe.train))
    for premise, hypothesis in zip(states[::2], states[1::2], strict=True):
        yield token_recall(hypothesis[1:-1], premise[1:-1])


def _apart(item: Item) -> tuple[Item, Item]:
    """The two texts of a pair, each as it is read alone."""
    ids, types = item["input_ids"], item["token_type_ids"]
    sides = ids[types == 0], np.concatenate([ids[:1], ids[types == 1]])
    return tuple({"input_ids": side, "token_type_ids": np.zeros_like(side)} for side in sides)


def check_parity(recipe: GroundingRecipe, prepared: Prepared, trained: Trained, remote: Remote | None) -> ParityReport:
    """Compare the forms on held-out pairs."""
    return check_head(recipe, trained.folder, [item_of(e) for e in prepared.eval or prepared.train])


def _texts(row: BuiltRow) -> tuple[str, str | None]:
    premise, hypothesis = row.fields["premise"], row.fields["hypothesis"]
    return focused(premise, hypothesis), hypothesis
