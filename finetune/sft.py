"""Supervised LoRA and QLoRA training of a decoder with TRL: kinds `sft`, `raft` (rows built with chunks), `toy` (base made here).

Rows come tokenised, with their loss mask in `labels`: what preflight saw is what TRL trains on.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from finetune.conversations import load_tokenizer, stop_is_learned, tokenised
from finetune.decoder_model import load_base, lora_config
from finetune.decoder_outcome import check_forms, save_adapter
from finetune.decoder_recipes import DecoderRecipe, RaftRecipe, ToyRecipe
from finetune.examples import IGNORED, Dropped, Example, FileDigest, Notice, Prepared
from finetune.kinds import Log, Trained
from finetune.launch import Place
from finetune.parity import Case
from finetune.parity_report import ParityReport, Remote
from finetune.raft import RaftShape, SourceChunk, build_raft, chunk_of, question_of
from finetune.rows import Conversation, Row, UnusableRow, conversation_of, need_rows, read_sources
from finetune.splits import parted
from finetune.toy_decoder import ToyShape, make_toy_decoder
from finetune.trainer_settings import callbacks, checkpoint_to_resume, trainer_settings, uses_bf16


def prepare(recipe: DecoderRecipe) -> Prepared:
    """Read, build and tokenise the rows; make the toy base where the recipe asks for one and it is not there."""
    if isinstance(recipe, ToyRecipe):
        _make_base(recipe)
    tokenizer = load_tokenizer(recipe.base)
    train, held_out, dropped, files, notices = _conversations(recipe)
    need_rows(len(train), dropped, "train")
    train_examples, lost = tokenised(train, tokenizer, recipe.train)
    eval_examples, lost_too = tokenised(held_out, tokenizer, recipe.train)
    if recipe.train.assistant_only_loss and not stop_is_learned(train_examples, tokenizer):
        notices.append(_stop_notice(tokenizer.eos_token))
    return Prepared(
        train=tuple(train_examples),
        eval=tuple(eval_examples),
        dropped=(*dropped, *lost, *lost_too),
        files=tuple(files),
        notices=tuple(notices),
        max_length=recipe.train.max_length,
        aids=tokenizer,
        decode=tokenizer.decode,
    )


def train(recipe: DecoderRecipe, prepared: Prepared, place: Place, log: Log) -> Trained:
    """Train the adapter, save it and measure it on the held-out rows."""
    bf16 = uses_bf16(recipe.train)
    resumed = checkpoint_to_resume(recipe, place)
    trainer = SFTTrainer(
        model=load_base(recipe.base, bf16=bf16, place=place),
        args=sft_config(recipe, place),
        train_dataset=dataset_of(prepared.train),
        eval_dataset=dataset_of(prepared.eval) if prepared.eval else None,
        processing_class=prepared.aids,
        peft_config=lora_config(recipe.lora),
        callbacks=callbacks(recipe, log),
    )
    trainer.train(resume_from_checkpoint=resumed)
    return save_adapter(recipe, prepared, place, trainer, resumed)


def check_parity(recipe: DecoderRecipe, prepared: Prepared, trained: Trained, remote: Remote | None) -> ParityReport:
    """Compare base with adapter, merged and served on held-out conversations."""
    return check_forms(recipe, trained.folder, cases_of(recipe, prepared), stop_id_of(prepared.train), remote)


def sft_config(recipe: DecoderRecipe, place: Place) -> SFTConfig:
    """The recipe as TRL takes it. The loss mask is in the rows, so `assistant_only_loss` is not asked of TRL again."""
    return SFTConfig(
        **trainer_settings(recipe, place),
        max_length=recipe.train.max_length,
        packing=recipe.train.packing,
        packing_strategy="bfd",
        eval_packing=recipe.train.packing,
    )


def dataset_of(examples: Sequence[Example]) -> Dataset:
    """Rows in TRL's tokenised form."""
    return Dataset.from_dict({"input_ids": [e.input_ids for e in examples], "labels": [e.labels for e in examples]})


def cases_of(recipe: DecoderRecipe, prepared: Prepared) -> list[Case]:
    """Held-out conversations to compare forms on: whole ones first."""
    rows = sorted(prepared.eval or prepared.train, key=lambda e: e.n_tokens_uncut > len(e.input_ids))
    return [Case(e.where, tuple(e.features["messages"][:-1]), e.input_ids) for e in rows[: recipe.parity.n_prompts]]


def stop_id_of(examples: Sequence[Example]) -> int:
    """The token that training taught to stop with: the last learned one of most rows, before any whitespace the template adds."""
    lasts = Counter(next(label for label in reversed(e.labels) if label != IGNORED) for e in examples)
    return lasts.most_common(1)[0][0]


def _conversations(
    recipe: DecoderRecipe,
) -> tuple[list[Conversation], list[Conversation], list[Dropped], list[FileDigest], list[Notice]]:
    rows, dropped, files = read_sources(recipe.data.train, "train")
    out_rows, out_dropped, out_files = read_sources(recipe.data.eval, "eval")
    rows = rows[: recipe.data.max_rows]
    known: dict[str, SourceChunk] = {}
    if isinstance(recipe, RaftRecipe):
        chunk_rows, chunk_dropped, chunk_files = read_sources(recipe.data.chunks, "chunks")
        known = {chunk.id: chunk for chunk in (chunk_of(row.where, row.fields) for row in chunk_rows)}
        dropped, files = dropped + chunk_dropped, files + chunk_files
    train, lost = _built(recipe, rows, known)
    held_out, out_lost = _built(recipe, out_rows, known)
    notices: list[Notice] = []
    if not recipe.data.eval:
        train, held_out, notices = parted(train, recipe.data.eval_share, recipe.seed, recipe.preflight.near_duplicate)
    return train, held_out, dropped + out_dropped + lost + out_lost, files + out_files, notices


def _built(
    recipe: DecoderRecipe, rows: Sequence[Row], known: dict[str, SourceChunk]
) -> tuple[list[Conversation], list[Dropped]]:
    usable, dropped = [], []
    for row in rows:
        try:
            is_raft = isinstance(recipe, RaftRecipe)
            usable.append(question_of(row.where, row.fields, known) if is_raft else conversation_of(row))
        except UnusableRow as error:
            dropped.append(Dropped(row.where, error.reason, str(error)))
    if isinstance(recipe, RaftRecipe):
        data = recipe.data
        shape = RaftShape(data.n_distractors, data.unanswerable_share, data.prompt, recipe.seed)
        usable = build_raft(usable, list(known.values()), shape)
    return usable, dropped


def _make_base(recipe: ToyRecipe) -> None:

    folder = Path(recipe.base.path)
    if (folder / "config.json").exists():
        return
    toy = recipe.toy
    texts = [source.path.read_text("utf-8") for source in toy.text]
    shape = ToyShape(vocab_size=toy.vocab_size, hidden_size=toy.hidden_size, n_layers=toy.n_layers)
    make_toy_decoder(folder, texts, shape=shape, steps=toy.steps, seed=recipe.seed)


def _stop_notice(stop: str) -> Notice:
    return Notice(
        "stop_token_not_learned",
        f"No row has the stop token {stop!r} in its loss: the model will not learn to end its answers.",
        "Move it inside {% generation %} ... {% endgeneration %} in base.chat_template.",
    )
