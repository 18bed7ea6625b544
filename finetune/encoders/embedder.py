"""Kind `embedder`: vectors of queries and chunks that lie close together. Trained by sentence-transformers; no head.

In-batch negatives and mined ones (MultipleNegativesRankingLoss; van den Oord et al. 2018, arXiv:1807.03748).
"""

from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from peft import PeftModel
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from torch import nn

from finetune.encoder_recipes import EmbedderRecipe
from finetune.encoders.adapted_encoder import (
    base_digest,
    base_folder,
    begin_with,
    load_backbone,
    load_tokenizer,
    lora_config,
    pooled,
    write_head_config,
)
from finetune.encoders.batches import by_length, padded
from finetune.encoders.built_rows import parted_rows
from finetune.encoders.forms import compare_outputs, log_softmax, with_deltas
from finetune.encoders.labelled import encoded
from finetune.encoders.measures import mean
from finetune.encoders.pair_negatives import hard_negatives
from finetune.encoders.pair_rows import FORMATS
from finetune.encoders.training import MOST_EVAL_ITEMS, emptied, settings_for, what_ran
from finetune.examples import Dropped, Example, Prepared
from finetune.kinds import Log, Measured, Trained
from finetune.launch import Place
from finetune.parity_report import ParityReport, Remote
from finetune.rows import need_rows
from finetune.trainer_settings import callbacks, checkpoint_to_resume

DEPTH = 10
"""How far down the list the right text is looked for."""


def prepare(recipe: EmbedderRecipe) -> Prepared:
    """Read and part the rows, then mine negatives on each side among its own texts."""
    parted = parted_rows(recipe, FORMATS)
    need_rows(len(parted.train), parted.dropped, "train")
    tokenizer = load_tokenizer(recipe.base)
    sides = []
    for rows in (parted.train, parted.eval):
        found = hard_negatives(rows, recipe.n_hard_negatives, recipe.negatives_from, recipe.seed)
        few = [row for row, wrong in zip(rows, found, strict=True) if len(wrong) < recipe.n_hard_negatives]
        parted.dropped.extend(Dropped(row.where, "few_negatives", "the corpus has too few other texts") for row in few)
        examples = []
        for row, wrong in zip(rows, found, strict=True):
            if len(wrong) == recipe.n_hard_negatives:
                query, positive = row.fields["query"], row.fields["positive"]
                ids, _, n_uncut = encoded(tokenizer, positive, None, recipe.train.max_length)
                told = f"{query}\n{positive}"
                features = {"query": query, "positive": positive, "negatives": wrong}
                examples.append(Example(row.where, query, positive, told, tuple(ids.tolist()), (), n_uncut, features))
        sides.append(tuple(examples))
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


def train(recipe: EmbedderRecipe, prepared: Prepared, place: Place, log: Log) -> Trained:
    """Train, save, and measure what was saved: how often the right text is found among all held-out ones."""
    model = _sentence_transformer(recipe)
    resumed = checkpoint_to_resume(recipe, place)
    settings = settings_for(recipe, place, has_eval=bool(prepared.eval))
    settings["train_sampling_strategy"] = "random"  # texts of several columns have no one length to group by
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(**settings),
        train_dataset=_dataset(prepared.train),
        eval_dataset=_dataset(prepared.eval[:MOST_EVAL_ITEMS]) if prepared.eval else None,
        loss=MultipleNegativesRankingLoss(model, scale=1 / recipe.temperature),
        callbacks=callbacks(recipe, log) if prepared.eval else callbacks(recipe, log)[:1],
    )
    trainer.train(resume_from_checkpoint=resumed)
    ran = what_ran(recipe, trainer, place, resumed)
    folder = emptied(recipe, place)
    if not place.is_main:
        return Trained(folder, {}, ran.curve, ran.facts)
    backbone = model[0].model
    backbone.peft_config["default"].base_model_name_or_path = recipe.base.path
    folder.mkdir(parents=True, exist_ok=True)
    backbone.save_pretrained(str(folder))
    max_length = recipe.train.max_length
    write_head_config(folder, {"kind": "embedder", "pooling": "mean", "normalised": True, "max_length": max_length})
    tuned = _found(recipe, prepared, PeftModel.from_pretrained(load_backbone(recipe.base), str(folder)).eval())
    bare = _found(recipe, prepared, load_backbone(recipe.base).eval())
    metrics = tuned | {f"{name}_base": measured for name, measured in bare.items()}
    return Trained(folder, metrics, ran.curve, ran.facts, base_digest(recipe.base), ran.peak_memory_bytes)


def check_parity(recipe: EmbedderRecipe, prepared: Prepared, trained: Trained, remote: Remote | None) -> ParityReport:
    """Compare the forms by the log-probability of each held-out text given each query, at the recipe's temperature."""
    folder = trained.folder
    picked = (prepared.eval or prepared.train)[: recipe.parity.n_prompts]
    adapted = PeftModel.from_pretrained(load_backbone(recipe.base), str(folder)).eval()
    merged = PeftModel.from_pretrained(load_backbone(recipe.base), str(folder)).merge_and_unload().eval()
    deltas = with_deltas(load_backbone(recipe.base), folder)
    forms = {"base with adapter": adapted, "merged": merged, "deltas": deltas}
    outputs = {}
    for name, form in forms.items():
        queries = embed(recipe, prepared, form, [e.features["query"] for e in picked])
        texts = embed(recipe, prepared, form, [e.features["positive"] for e in picked])
        outputs[name] = list(log_softmax(queries @ texts.T / recipe.temperature, -1))
    n_tokens = sum(len(e.input_ids) for e in picked) * 2
    return compare_outputs(outputs, n_tokens, recipe.parity.logprob_tolerance)


@torch.no_grad()
def embed(recipe: EmbedderRecipe, prepared: Prepared, backbone: nn.Module, texts: list[str]) -> NDArray[np.float32]:
    """Unit vectors [texts, hidden]: the mean over tokens, as the base makes them."""
    items = []
    for text in texts:
        ids, types, _ = encoded(prepared.aids, text, None, recipe.train.max_length)
        items.append({"input_ids": ids, "token_type_ids": types})
    out: dict[int, NDArray[np.float32]] = {}
    for picked in by_length(items, recipe.train.batch_size):
        batch = padded([items[i] for i in picked])
        states = backbone(**batch).last_hidden_state
        vectors = nn.functional.normalize(pooled(states.float(), batch["attention_mask"], "mean"), dim=-1)
        out |= dict(zip(picked, vectors.numpy(), strict=True))
    return np.stack([out[i] for i in range(len(texts))])


def _sentence_transformer(recipe: EmbedderRecipe) -> SentenceTransformer:
    torch.manual_seed(recipe.seed)
    folder = base_folder(recipe.base)
    word = Transformer(folder, max_seq_length=recipe.train.max_length)
    word.model = load_backbone(
        recipe.base, recipe.train.base_dropout
    )  # without the pooler, whose layer would be adapted too
    pooling = Pooling(word.get_word_embedding_dimension(), pooling_mode="mean")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = SentenceTransformer(modules=[word, pooling, Normalize()], device=device)
    model.add_adapter(lora_config(recipe.lora))
    if recipe.lora.start_from:
        begin_with(word.model, Path(recipe.lora.start_from))
    return model


def _dataset(examples: tuple[Example, ...]) -> Dataset:
    columns: dict[str, list[str]] = {
        "anchor": [e.features["query"] for e in examples],
        "positive": [e.features["positive"] for e in examples],
    }
    for i in range(len(examples[0].features["negatives"])):
        columns[f"negative_{i + 1}"] = [e.features["negatives"][i] for e in examples]
    return Dataset.from_dict(columns)


def _found(recipe: EmbedderRecipe, prepared: Prepared, backbone: nn.Module) -> dict[str, Measured]:
    texts = list(
        dict.fromkeys(text for e in prepared.eval for text in (e.features["positive"], *e.features["negatives"]))
    )
    number = {text: i for i, text in enumerate(texts)}
    queries = embed(recipe, prepared, backbone, [e.features["query"] for e in prepared.eval])
    scores = queries @ embed(recipe, prepared, backbone, texts).T
    right = np.array([scores[i, number[e.features["positive"]]] for i, e in enumerate(prepared.eval)])
    ranks = 1 + (scores > right[:, None]).sum(1)
    return {
        "mrr_at_10": mean([float(1 / rank) if rank <= DEPTH else 0.0 for rank in ranks]),
        "recall_at_1": mean([float(rank == 1) for rank in ranks]),
    }
