"""Kind `reranker`: how well a chunk answers a question, both read together. A linear head with one output.

Learned by comparison: the right chunk against wrong ones of the same question (losses.list_loss).
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from finetune.encoder_recipes import RerankerRecipe
from finetune.encoders.adapted_encoder import base_digest, load_encoder, load_tokenizer, new_encoder, save_encoder
from finetune.encoders.batches import Item, logits_of, padded_lists
from finetune.encoders.built_rows import BuiltRow, parted_rows
from finetune.encoders.forms import check_head
from finetune.encoders.labelled import encoded
from finetune.encoders.losses import list_loss
from finetune.encoders.measures import auroc, mean
from finetune.encoders.pair_negatives import hard_negatives
from finetune.encoders.pair_rows import FORMATS
from finetune.encoders.training import emptied, fit
from finetune.examples import Dropped, Example, Prepared
from finetune.kinds import Log, Measured, Trained
from finetune.launch import Place
from finetune.parity_report import ParityReport, Remote
from finetune.rows import need_rows
from finetune.trainer_settings import uses_bf16


def prepare(recipe: RerankerRecipe) -> Prepared:
    """Read and part the rows, then mine negatives on each side among its own texts."""
    parted = parted_rows(recipe, FORMATS)
    need_rows(len(parted.train), parted.dropped, "train")
    tokenizer = load_tokenizer(recipe.base)
    sides = []
    for rows in (parted.train, parted.eval):
        negatives = hard_negatives(rows, recipe.n_hard_negatives, recipe.negatives_from, recipe.seed)
        whole = [
            (row, wrong) for row, wrong in zip(rows, negatives, strict=True) if len(wrong) == recipe.n_hard_negatives
        ]
        few = [row for row, wrong in zip(rows, negatives, strict=True) if len(wrong) < recipe.n_hard_negatives]
        parted.dropped.extend(Dropped(row.where, "few_negatives", "the corpus has too few other texts") for row in few)
        sides.append(tuple(_example(recipe, tokenizer, row, wrong) for row, wrong in whole))
    return Prepared(
        train=sides[0],
        eval=sides[1],
        dropped=tuple(parted.dropped),
        files=tuple(parted.files),
        notices=tuple(parted.notices),
        max_length=recipe.train.max_length,
        aids=tokenizer,
        decode=tokenizer.decode,
    )


def train(recipe: RerankerRecipe, prepared: Prepared, place: Place, log: Log) -> Trained:
    """Train, save, and measure what was saved: where the right text comes among the negatives."""
    model = new_encoder(recipe, 1, recipe.pooling, list_loss)
    shuffled = sorted(prepared.eval, key=lambda e: hashlib.sha256(e.where.encode()).digest())
    items = ([*map(list_item_of, prepared.train)], [*map(list_item_of, shuffled)])
    ran = fit(recipe, place, log, model, items, padded_lists)
    folder = emptied(recipe, place)
    if not place.is_main:
        return Trained(folder, {}, ran.curve, ran.facts)
    config = {
        "kind": "reranker",
        "reads": ["query", "text"],
        "outputs": ["relevance"],
        "max_length": recipe.train.max_length,
    }
    save_encoder(model, folder, recipe.base, config)
    metrics = _metrics(recipe, prepared, load_encoder(recipe.base, folder))
    return Trained(folder, metrics, ran.curve, ran.facts, base_digest(recipe.base), ran.peak_memory_bytes)


def check_parity(recipe: RerankerRecipe, prepared: Prepared, trained: Trained, remote: Remote | None) -> ParityReport:
    """Compare the forms on held-out lists of candidates: the log-probability of each within its list."""
    lists = [e.features["candidates"] for e in (prepared.eval or prepared.train)[: recipe.parity.n_prompts]]
    return check_head(recipe, trained.folder, [item for items in lists for item in items], len(lists[0]))


def list_item_of(example: Example) -> Item:
    """A list as the Trainer batches it; `input_ids` of its longest tells the length."""
    candidates = example.features["candidates"]
    longest = max((candidate["input_ids"] for candidate in candidates), key=len)
    return {"input_ids": longest, "candidates": candidates}


def _metrics(recipe: RerankerRecipe, prepared: Prepared, model: Any) -> dict[str, Measured]:
    items = [candidate for example in prepared.eval for candidate in example.features["candidates"]]
    rows = logits_of(model, items, recipe.train.batch_size * 4, bf16=uses_bf16(recipe.train))
    scores = np.array([float(row[0]) for row in rows]).reshape(-1, recipe.n_hard_negatives + 1)
    ranks = 1 + (scores[:, 1:] >= scores[:, :1]).sum(1)
    return {
        "mrr_among_negatives": mean([float(1 / rank) for rank in ranks]),
        "first_among_negatives": mean([float(rank == 1) for rank in ranks]),
        "auroc": auroc(scores[:, 0], scores[:, 1:].ravel()),
    }


def _example(
    recipe: RerankerRecipe, tokenizer: PreTrainedTokenizerBase, row: BuiltRow, wrong: Sequence[str]
) -> Example:
    query, positive = row.fields["query"], row.fields["positive"]
    candidates, n_uncut = [], []
    for text in (positive, *wrong):
        ids, types, n = encoded(tokenizer, query, text, recipe.train.max_length)
        candidates.append({"input_ids": ids, "token_type_ids": types})
        n_uncut.append(n)
    ids = tuple(candidates[0]["input_ids"].tolist())
    features = {"candidates": candidates, "negatives": tuple(wrong)}
    return Example(row.where, query, positive, f"{query}\n{positive}", ids, (), n_uncut[0], features)
