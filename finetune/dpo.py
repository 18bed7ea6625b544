"""Preference training of a decoder with TRL: pairs of answers, the frozen base as its own reference. Kind `dpo`."""

from collections.abc import Sequence

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from finetune.conversations import load_tokenizer, prompt_ids, rendered_ids
from finetune.decoder_model import load_base, lora_config
from finetune.decoder_outcome import check_forms, save_adapter
from finetune.decoder_recipes import DpoRecipe
from finetune.examples import IGNORED, Dropped, Example, Prepared
from finetune.kinds import Log, Trained
from finetune.launch import Place
from finetune.parity_report import ParityReport, Remote
from finetune.rows import Preference, Row, UnusableRow, asked, need_rows, preference_of, read_sources, said
from finetune.sft import cases_of, stop_id_of
from finetune.splits import parted
from finetune.trainer_settings import callbacks, checkpoint_to_resume, trainer_settings, uses_bf16


def prepare(recipe: DpoRecipe) -> Prepared:
    """Read the pairs. What preflight sees of a pair is its prompt with the chosen answer."""
    tokenizer = load_tokenizer(recipe.base)
    rows, dropped, files = read_sources(recipe.data.train, "train")
    out_rows, out_dropped, out_files = read_sources(recipe.data.eval, "eval")
    train, lost = _preferences(rows[: recipe.data.max_rows])
    held_out, out_lost = _preferences(out_rows)
    notices = []
    if not recipe.data.eval:
        train, held_out, notices = parted(train, recipe.data.eval_share, recipe.seed, recipe.preflight.near_duplicate)
    need_rows(len(train), dropped + lost, "train")
    train_examples, too_long = _examples(train, tokenizer, recipe.train.max_length)
    eval_examples, too_long_too = _examples(held_out, tokenizer, recipe.train.max_length)
    return Prepared(
        train=tuple(train_examples),
        eval=tuple(eval_examples),
        dropped=(*dropped, *out_dropped, *lost, *out_lost, *too_long, *too_long_too),
        files=(*files, *out_files),
        notices=tuple(notices),
        max_length=recipe.train.max_length,
        aids=tokenizer,
        decode=tokenizer.decode,
    )


def train(recipe: DpoRecipe, prepared: Prepared, place: Place, log: Log) -> Trained:
    """Train the adapter on pairs, save it and measure it on the held-out rows."""
    resumed = checkpoint_to_resume(recipe, place)
    trainer = DPOTrainer(
        model=load_base(recipe.base, bf16=uses_bf16(recipe.train), place=place),
        args=dpo_config(recipe, place),
        train_dataset=dataset_of(prepared.train),
        eval_dataset=dataset_of(prepared.eval) if prepared.eval else None,
        processing_class=prepared.aids,
        peft_config=lora_config(recipe.lora),
        callbacks=callbacks(recipe, log),
    )
    trainer.train(resume_from_checkpoint=resumed)
    return save_adapter(recipe, prepared, place, trainer, resumed)


def check_parity(recipe: DpoRecipe, prepared: Prepared, trained: Trained, remote: Remote | None) -> ParityReport:
    """Compare base with adapter, merged and served on held-out prompts with their chosen answers."""
    return check_forms(recipe, trained.folder, cases_of(recipe, prepared), stop_id_of(prepared.train), remote)


def dpo_config(recipe: DpoRecipe, place: Place) -> DPOConfig:
    """The recipe as TRL takes it."""
    return DPOConfig(**trainer_settings(recipe, place), max_length=recipe.train.max_length, beta=recipe.train.beta)


def dataset_of(examples: Sequence[Example]) -> Dataset:
    """Pairs as messages, as TRL takes them."""
    return Dataset.from_list([example.features["pair"] for example in examples])


def _preferences(rows: Sequence[Row]) -> tuple[list[Preference], list[Dropped]]:
    usable, dropped = [], []
    for row in rows:
        try:
            usable.append(preference_of(row))
        except UnusableRow as error:
            dropped.append(Dropped(row.where, error.reason, str(error)))
    return usable, dropped


def _examples(
    pairs: Sequence[Preference], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[list[Example], list[Dropped]]:
    examples, dropped = [], []
    for pair in pairs:
        example = _example(pair, tokenizer, max_length)
        if example.n_trainable:
            examples.append(example)
        else:
            dropped.append(Dropped(pair.where, "no_trainable_token", f"the answer begins after token {max_length}"))
    return examples, dropped


def _example(pair: Preference, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Example:
    shown = list(pair.prompt)
    chosen, rejected = (rendered_ids(tokenizer, [*shown, *answer]) for answer in (pair.chosen, pair.rejected))
    n_prompt = len(prompt_ids(tokenizer, shown))
    labels = [IGNORED] * n_prompt + _until_stop(chosen[n_prompt:], tokenizer.eos_token_id)
    return Example(
        where=pair.where,
        key=asked(shown),
        answer=said(pair.chosen),
        text=said([*shown, *pair.chosen, *pair.rejected]),
        input_ids=tuple(chosen[:max_length]),
        labels=tuple(labels[:max_length]),
        n_tokens_uncut=max(len(chosen), len(rejected)),
        features={
            "messages": [*shown, *pair.chosen],
            "pair": {"prompt": shown, "chosen": list(pair.chosen), "rejected": list(pair.rejected)},
        },
    )


def _until_stop(ids: Sequence[int], stop: int) -> list[int]:
    """The answer up to its stop token; what the template writes after it is not said by the model."""
    if stop not in ids:
        return list(ids)
    last = len(ids) - 1 - list(reversed(ids)).index(stop)
    return [*ids[: last + 1], *[IGNORED] * (len(ids) - last - 1)]
