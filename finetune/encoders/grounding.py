"""Kind `grounding`: whether a premise supports a hypothesis. A linear head over the two texts read together, and beside it what
`data/claims.py` tells: held-out rows say what that is worth."""

import dataclasses
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from data.claims import CONSTANT, ODDS, RECALL, log_odds, signs, token_recall, weighed
from data.focus import focused
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

N_FOLDS = 5
AT_ONCE = 512
"""Pairs whose token states are held at a time."""
Found = Mapping[str, float]
"""The adapter's log-odds, token recall and the signs of one pair, by name."""


def prepare(recipe: GroundingRecipe) -> Prepared:
    """Read and part the rows by document; of a long premise the sentences nearest the hypothesis are read."""
    parted = parted_rows(recipe, GROUNDING_FORMATS)
    need_rows(len(parted.train), parted.dropped, "train")
    return prepared_labels(recipe, parted, load_tokenizer(recipe.base), _texts)


def train(recipe: GroundingRecipe, prepared: Prepared, place: Place, log: Log) -> Trained:
    """Train, save, and measure what was saved, source by source."""
    config = {"kind": "grounding", "reads": ["premise", "hypothesis"], "premise": "focused"}

    def settle(model: AdaptedEncoder, judged: Sequence[Judged]) -> tuple[dict[str, Any], Sequence[Judged]]:
        found = list(beside(recipe, prepared.eval, model, judged))
        worth, odds = worths(found, judged, [_fold(example) for example in prepared.eval])
        probabilities = 1 / (1 + np.exp(-odds))
        return {"beside": worth}, [
            dataclasses.replace(one, probability=float(p)) for one, p in zip(judged, probabilities, strict=True)
        ]

    return train_labels(recipe, prepared, place, log, config, settle=settle)


def beside(
    recipe: GroundingRecipe, examples: Sequence[Example], model: AdaptedEncoder, judged: Sequence[Judged]
) -> Iterator[Found]:
    """What is found in each pair; token states are those of the base, each text read alone."""
    recalls = [
        recall
        for start in range(0, len(examples), AT_ONCE)
        for recall in _recalls(recipe, examples[start : start + AT_ONCE], model)
    ]
    for example, one, recall in zip(examples, judged, recalls, strict=True):
        premise, hypothesis = (example.features["fields"][name] for name in ("premise", "hypothesis"))
        read = focused(premise, hypothesis)
        yield {ODDS: log_odds(one.probability), RECALL: recall, **signs(premise, read, hypothesis)}


def worths(
    found: Sequence[Found], judged: Sequence[Judged], folds: Sequence[int]
) -> tuple[dict[str, float], NDArray[np.float64]]:
    """What each thing found is worth, and the log-odds [pairs] of each pair, by worths in whose fitting its premise had no part.

    Log-odds and token recall, each in standard deviations, count alike: fitted on sources that the adapter was trained on, recall would
    be worth nothing, and elsewhere it is worth most. Their sum and the signs are fitted (logistic regression; sources and labels alike).
    Without both labels the adapter's word stands.
    """
    own = [i for i, one in enumerate(judged) if not one.is_left_out]
    worth = _fitted([found[i] for i in own], [judged[i] for i in own])
    by_fold = {}
    for fold in set(folds):
        rest = [i for i in own if folds[i] != fold]
        by_fold[fold] = _fitted([found[i] for i in rest], [judged[i] for i in rest])
    using = [worth if one.is_left_out else by_fold[fold] for one, fold in zip(judged, folds, strict=True)]
    return worth, np.array([weighed(w, pair) for w, pair in zip(using, found, strict=True)])


def _fitted(found: Sequence[Found], judged: Sequence[Judged]) -> dict[str, float]:
    labels = np.array([one.label == 0 for one in judged])
    if not len(labels) or labels.all() or not labels.any():
        return {ODDS: 1.0}
    names = list(found[0])
    x = np.array([[pair[name] for name in names] for pair in found])
    middle, spread = x.mean(0), x.std(0)
    spread[spread == 0] = 1
    z = (x - middle) / spread
    both = [names.index(ODDS), names.index(RECALL)]
    rest = [i for i in range(len(names)) if i not in both]
    n_of = Counter((one.source, one.label == 0) for one in judged)
    weights = np.array([len(judged) / len(n_of) / n_of[one.source, one.label == 0] for one in judged])
    fit = LogisticRegression(max_iter=1000).fit(
        np.column_stack([z[:, both].sum(1), z[:, rest]]), labels, sample_weight=weights
    )
    together, *others = fit.coef_[0]
    by_name = np.empty(len(names))
    by_name[both], by_name[rest] = together, others
    by_name /= spread
    constant = fit.intercept_[0] - by_name @ middle
    return {CONSTANT: round(float(constant), 5)} | {n: round(float(w), 5) for n, w in zip(names, by_name, strict=True)}


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


def _fold(example: Example) -> int:
    return zlib.crc32(example.features["fields"]["premise"].encode()) % N_FOLDS


def check_parity(recipe: GroundingRecipe, prepared: Prepared, trained: Trained, remote: Remote | None) -> ParityReport:
    """Compare the forms on held-out pairs."""
    return check_head(recipe, trained.folder, [item_of(e) for e in prepared.eval or prepared.train])


def _texts(row: BuiltRow) -> tuple[str, str | None]:
    premise, hypothesis = row.fields["premise"], row.fields["hypothesis"]
    return focused(premise, hypothesis), hypothesis
