"""What the kinds with a label per row share (grounding, classifier): tokens, training, held-out figures. Knows no data set."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from finetune.encoder_recipes import ClassifierRecipe, GroundingRecipe
from finetune.encoders.adapted_encoder import AdaptedEncoder, base_digest, load_encoder, new_encoder, save_encoder
from finetune.encoders.batches import Item, logits_of, padded
from finetune.encoders.built_rows import BuiltRow, Parted
from finetune.encoders.forms import log_softmax
from finetune.encoders.losses import LabelLoss, balancing_weights
from finetune.encoders.measures import auroc, balanced_accuracy, mean
from finetune.encoders.training import emptied, fit
from finetune.examples import Dropped, Example, Prepared
from finetune.kinds import Log, Measured, Trained
from finetune.launch import Place
from finetune.trainer_settings import uses_bf16

LabelRecipe = GroundingRecipe | ClassifierRecipe
Texts = Callable[[BuiltRow], tuple[str, str | None]]
"""What of a row is read: a text, and perhaps a second one that is never cut."""
Settle = Callable[[AdaptedEncoder, Sequence["Judged"]], tuple[dict[str, Any], Sequence["Judged"]]]
"""The saved model and what it says of the held-out rows to more of head_config.json and what is said with that."""


@dataclass(frozen=True)
class Judged:
    """The probability of the first label for one held-out row, and what it should be."""

    probability: float
    label: int
    source: str
    is_left_out: bool


def prepared_labels(recipe: LabelRecipe, parted: Parted, tokenizer: PreTrainedTokenizerBase, texts: Texts) -> Prepared:
    """Tokenise rows that carry a `label`; a label that the recipe does not list is dropped."""
    dropped = list(parted.dropped)
    sides = []
    for rows in (parted.train, parted.eval):
        known = [row for row in rows if row.fields["label"] in recipe.labels]
        dropped += [_unknown(recipe, row) for row in rows if row.fields["label"] not in recipe.labels]
        sides.append(tuple(_example(recipe, tokenizer, row, texts(row)) for row in known))
    return Prepared(
        train=sides[0],
        eval=sides[1],
        dropped=tuple(dropped),
        files=tuple(parted.files),
        notices=tuple(parted.notices),
        max_length=recipe.train.max_length,
        aids=tokenizer,
        decode=tokenizer.decode,
    )


def train_labels(
    recipe: LabelRecipe,
    prepared: Prepared,
    place: Place,
    log: Log,
    config: dict[str, Any],
    *,
    threshold: float | None = None,
    settle: Settle = lambda _, judged: ({}, judged),
) -> Trained:
    """Train, save, and measure what was saved. Without a `threshold` the held-out rows choose it (balanced accuracy)."""
    counts = Counter(example.features["labels"] for example in prepared.train)
    n_of = [counts[i] for i in range(len(recipe.labels))]
    loss = LabelLoss(balancing_weights(n_of) if recipe.balance else [1.0] * len(n_of))
    model = new_encoder(recipe, len(recipe.labels), recipe.pooling, loss)
    inside = [e for e in prepared.eval if not e.features["is_left_out"]]  # what is left out must choose no checkpoint
    inside.sort(key=lambda e: hashlib.sha256(e.where.encode()).digest())
    ran = fit(recipe, place, log, model, ([*map(item_of, prepared.train)], [*map(item_of, inside)]), padded)
    folder = emptied(recipe, place)
    if not place.is_main:
        return Trained(folder, {}, ran.curve, ran.facts)
    config = {**config, "labels": list(recipe.labels), "max_length": recipe.train.max_length, "threshold": 0.5}
    save_encoder(model, folder, recipe.base, config)
    saved = load_encoder(recipe.base, folder)
    more, judged = settle(saved, judge(recipe, prepared, saved))
    config |= more
    own = [one for one in judged if not one.is_left_out] or judged
    config["threshold"] = fair_threshold(own) if threshold is None else threshold
    save_encoder(model, folder, recipe.base, config)
    facts = {**ran.facts, "threshold": round(config["threshold"], 4)}
    metrics = label_metrics(judged, config["threshold"])
    return Trained(folder, metrics, ran.curve, facts, base_digest(recipe.base), ran.peak_memory_bytes)


def judge(recipe: LabelRecipe, prepared: Prepared, model: AdaptedEncoder) -> list[Judged]:
    """The saved adapter's probability of the first label for each held-out row."""
    items = [item_of(example) for example in prepared.eval]
    logits = logits_of(model, items, recipe.train.batch_size * 2, bf16=uses_bf16(recipe.train))
    return [
        Judged(float(np.exp(log_softmax(row, -1))[0]), f["labels"], f["source"], f["is_left_out"])
        for row, f in zip(logits, (example.features for example in prepared.eval), strict=True)
    ]


def label_metrics(judged: Sequence[Judged], threshold: float) -> dict[str, Measured]:
    """AUROC of the first label, balanced accuracy (first label or not) and false alarms at the threshold: of all rows that were
    held out within their sources, then source by source."""
    by_source: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by_source[one.source].append(one)
    own = [one for one in judged if not one.is_left_out]
    parts = {"": own} | {f"/{source}": rows for source, rows in sorted(by_source.items())}
    return {f"{name}{part}": m for part, rows in parts.items() for name, m in _figures(rows, threshold) if m.n}


def fair_threshold(judged: Sequence[Judged]) -> float:
    """The probability that parts the first label from the others with the highest balanced accuracy, on average over the sources that
    have both: a source with many rows decides no more than another."""
    n_of = Counter((one.source, one.label == 0) for one in judged)
    order = sorted(
        (one for one in judged if n_of[one.source, True] and n_of[one.source, False]), key=lambda one: -one.probability
    )
    if not order:
        return 0.5
    gained = np.cumsum([(1 if one.label == 0 else -1) / n_of[one.source, one.label == 0] for one in order])
    best = int(gained.argmax())
    below = order[best + 1].probability if best + 1 < len(order) else 0.0
    return float((order[best].probability + below) / 2)


def item_of(example: Example) -> Item:
    """A row as the Trainer batches it."""
    return {name: example.features[name] for name in ("input_ids", "token_type_ids", "labels")}


def encoded(
    tokenizer: PreTrainedTokenizerBase, first: str, second: str | None, max_length: int
) -> tuple[NDArray[np.int32], NDArray[np.int8], int]:
    """Ids, types, and how many there would be uncut. Of two texts that do not fit the longer one is cut first."""
    parts = [
        tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        for text in (first, second)
        if text is not None
    ]
    n_uncut = sum(map(len, parts)) + 1 + len(parts)
    room = max_length - 1 - len(parts)
    if len(parts) == 2:
        shorter = min(map(len, parts))
        most = max(room // 2, room - shorter)
        parts = [part[:most] for part in parts]
    parts[-1] = parts[-1][: room - sum(map(len, parts[:-1]))]
    ids, types = [tokenizer.cls_token_id], [0]
    for kind, part in enumerate(parts):
        ids += [*part, tokenizer.sep_token_id]
        types += [kind] * (len(part) + 1)
    return np.asarray(ids, np.int32), np.asarray(types, np.int8), n_uncut


def _example(
    recipe: LabelRecipe, tokenizer: PreTrainedTokenizerBase, row: BuiltRow, texts: tuple[str, str | None]
) -> Example:
    ids, types, n_uncut = encoded(tokenizer, *texts, recipe.train.max_length)
    features = {
        "input_ids": ids,
        "token_type_ids": types,
        "labels": recipe.labels.index(row.fields["label"]),
        "source": row.source,
        "is_left_out": row.is_left_out,
    }
    text = "\n".join(text for text in texts if text)
    # the answer stays out of it: a label behind every text would make short texts look alike
    return Example(row.where, row.key, "", text, tuple(ids.tolist()), (), n_uncut, features)


def _figures(rows: Sequence[Judged], threshold: float) -> Iterator[tuple[str, Measured]]:
    is_first = [one.label == 0 for one in rows]
    raised = [one.probability >= threshold for one in rows]
    first, rest = ([one.probability for one in rows if (one.label == 0) is side] for side in (True, False))
    if first and rest:
        yield "auroc", auroc(first, rest)
        right = [a == b for a, b in zip(raised, is_first, strict=True)]
        yield "balanced_accuracy", balanced_accuracy(right, [one.label == 0 for one in rows])
    if rest:
        alarms = [float(up) for up, one in zip(raised, rows, strict=True) if one.label != 0]
        yield "false_positive_rate", mean(alarms)
    if first:
        caught = [float(up) for up, one in zip(raised, rows, strict=True) if one.label == 0]
        yield "recall", mean(caught)


def _unknown(recipe: LabelRecipe, row: BuiltRow) -> Dropped:
    return Dropped(row.where, "unknown_label", f"label {row.fields['label']!r} is none of {', '.join(recipe.labels)}")
