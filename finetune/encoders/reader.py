"""Kind `reader`: the span of a context that answers a question, or none. A linear head gives each token's start and end.

Questions whose sentence alone is known are learned too: the span lies somewhere in it (losses.span_loss).
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from data.asked import missing
from finetune.encoder_recipes import ReaderRecipe
from finetune.encoders.adapted_encoder import base_digest, load_encoder, load_tokenizer, new_encoder, save_encoder
from finetune.encoders.batches import Item, logits_of, padded
from finetune.encoders.built_rows import BuiltRow, parted_rows
from finetune.encoders.forms import check_head
from finetune.encoders.losses import span_loss
from finetune.encoders.reader_measures import (
    Read,
    less_missing,
    reader_metrics,
    reader_missing,
    reader_slope,
    reader_threshold,
)
from finetune.encoders.reader_negatives import article_negatives, edited_negatives, retrieved_negatives
from finetune.encoders.reader_rows import FORMATS
from finetune.encoders.spans import Span, Window, best_span, target_labels, windows
from finetune.encoders.training import emptied, fit
from finetune.examples import Example, Prepared
from finetune.kinds import Log, Trained
from finetune.launch import Place
from finetune.parity_report import ParityReport, Remote
from finetune.rows import need_rows
from finetune.trainer_settings import uses_bf16


def prepare(recipe: ReaderRecipe) -> Prepared:
    """Read and part the rows by article, add negatives on each side, cut contexts into windows."""
    parted = parted_rows(recipe, FORMATS)
    need_rows(len(parted.train), parted.dropped, "train")
    data, seed = recipe.data, recipe.seed
    train = [
        *parted.train,
        *article_negatives(parted.train, data.n_article_negatives, seed),
        *retrieved_negatives(parted.train, data.n_retrieved_negatives, seed),
        *edited_negatives(parted.train, data.n_edited_negatives, seed),
    ]
    # one wrong paragraph for each held-out question: what AUROC needs
    held_out = [*parted.eval, *retrieved_negatives(parted.eval, 1.0, seed)]
    tokenizer = load_tokenizer(recipe.base)
    return Prepared(
        train=tuple(example for row in train for example in _examples(recipe, tokenizer, row)),
        eval=tuple(example for row in held_out for example in _examples(recipe, tokenizer, row)),
        dropped=tuple(parted.dropped),
        files=tuple(parted.files),
        notices=tuple(parted.notices),
        max_length=recipe.train.max_length,
        aids=tokenizer,
        decode=tokenizer.decode,
    )


def train(recipe: ReaderRecipe, prepared: Prepared, place: Place, log: Log) -> Trained:
    """Train, save, and measure what was saved on the held-out articles."""
    model = new_encoder(recipe, 2, "tokens", span_loss)
    shuffled = sorted(prepared.eval, key=lambda e: hashlib.sha256(e.where.encode()).digest())
    ran = fit(recipe, place, log, model, ([*map(item_of, prepared.train)], [*map(item_of, shuffled)]), padded)
    folder = emptied(recipe, place)
    if not place.is_main:
        return Trained(folder, {}, ran.curve, ran.facts)
    config = {
        "kind": "reader",
        "outputs": ["start", "end"],
        "no_answer": "[CLS]",
        "max_length": recipe.train.max_length,
        "stride": recipe.stride,
        "max_answer_tokens": recipe.max_answer_tokens,
    }
    save_encoder(model, folder, recipe.base, config)
    plain = read_all(recipe, prepared, load_encoder(recipe.base, folder))
    config["missing"] = reader_missing(plain)
    reads = less_missing(plain, config["missing"])
    config["threshold"] = reader_threshold(reads)
    config["slope"] = reader_slope(reads, config["threshold"])
    save_encoder(model, folder, recipe.base, config)
    facts = {**ran.facts, "threshold": round(config["threshold"], 4)}
    digest = base_digest(recipe.base)
    return Trained(folder, reader_metrics(plain), ran.curve, facts, digest, ran.peak_memory_bytes)


def check_parity(recipe: ReaderRecipe, prepared: Prepared, trained: Trained, remote: Remote | None) -> ParityReport:
    """Compare the forms on held-out windows; a shared backbone serves them all, so no server is asked."""
    return check_head(recipe, trained.folder, [item_of(e) for e in prepared.eval or prepared.train])


def item_of(example: Example) -> Item:
    """A window as the Trainer batches it."""
    return {name: example.features[name] for name in ("input_ids", "token_type_ids", "labels")}


def read_all(recipe: ReaderRecipe, prepared: Prepared, model: Any) -> list[Read]:
    """The model's best span for every held-out row, over all its windows."""
    items = [item_of(example) for example in prepared.eval]
    logits = logits_of(model, items, recipe.train.batch_size * 2, bf16=uses_bf16(recipe.train))
    best: dict[str, tuple[Span, Example]] = {}
    for example, row in zip(prepared.eval, logits, strict=True):
        span = best_span(example.features["window"], row, recipe.max_answer_tokens)
        name = example.features["row"]
        if name not in best or span.score > best[name][0].score:
            best[name] = (span, example)
    return [_read(span, example) for span, example in best.values()]


def _read(span: Span, example: Example) -> Read:
    features = example.features
    answer = features["context"][span.start : span.end]
    lacks = missing(features["question"], features["context"], span.start)
    return Read(features["row"], features["group"], answer, span.score, features["answers"], features["made"], lacks)


def _examples(recipe: ReaderRecipe, tokenizer: PreTrainedTokenizerBase, row: BuiltRow) -> Sequence[Example]:
    fields = row.fields
    question, context = fields["question"], fields["context"]
    cut = windows(tokenizer, question, context, max_length=recipe.train.max_length, stride=recipe.stride)
    return [_example(row, window, f"#{i}" if len(cut) > 1 else "") for i, window in enumerate(cut)]


def _example(row: BuiltRow, window: Window, part: str) -> Example:
    fields = row.fields
    shown = fields["context"][window.offsets[0][0] : window.offsets[-1][1]] if window.offsets else ""
    spans = fields["spans"]
    answer = fields["context"][spans[0][0] : spans[0][1]] if spans else ""
    features = {
        "input_ids": np.asarray(window.input_ids, np.int32),
        "token_type_ids": np.asarray(window.token_type_ids, np.int8),
        "labels": target_labels(window, spans, is_weak=row.is_weak),
        "window": window,
        "row": row.where,
        "group": row.groups[0],
        "question": fields["question"],
        "context": fields["context"],
        "answers": fields["answers"],
        "made": fields.get("made", "given"),
    }
    told = f"{shown}\n{answer}"
    text = f"{fields['question']}\n{told}"
    n = len(window.input_ids)
    return Example(row.where + part, fields["question"], told, text, window.input_ids, (), n, features)
