"""Conversations to token ids with a loss mask, exactly as they will be trained on. Knows no weights.

The tokens are made here and not by TRL, so that preflight looks at what is trained and not at a second rendering of it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from trl.chat_template_utils import get_training_chat_template, has_generation_markers

from data.errors import InvalidInput, ModelUnavailable
from finetune.decoder_recipes import DecoderBase, DecoderTrain
from finetune.examples import IGNORED, Dropped, Example
from finetune.rows import Conversation, Message, said


def load_tokenizer(base: DecoderBase) -> PreTrainedTokenizerBase:
    """The base's tokenizer, with the recipe's chat template where it has one. Raises: ModelUnavailable, InvalidInput."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(base.path, revision=base.revision)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(
            f"The base model {base.path!r} cannot be loaded: {str(error).splitlines()[0]}",
            next_step="Set base.path to a local folder in Hugging Face layout, or download it first: hf download ID.",
        ) from error
    if base.chat_template is not None:
        tokenizer.chat_template = _template_file(base.chat_template)
    if not tokenizer.chat_template:
        raise InvalidInput(
            f"The tokenizer of {base.path!r} has no chat template.",
            field="base.chat_template",
            next_step="Set base.chat_template to a Jinja file; finetune/toy_template.jinja is one.",
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def training_template(tokenizer: PreTrainedTokenizerBase) -> str:
    """The chat template with the assistant's turns marked. Raises: InvalidInput where it marks none and none is known."""
    template = tokenizer.chat_template
    if has_generation_markers(template):
        return template
    try:
        return get_training_chat_template(tokenizer) or template
    except ValueError as error:
        raise InvalidInput(
            "The chat template does not mark the assistant's turns, so there is no telling what to learn.",
            field="base.chat_template",
            next_step="Put {% generation %} ... {% endgeneration %} around them in a copy and set base.chat_template to it, "
            "or set train.assistant_only_loss=false.",
        ) from error


def tokenised(
    conversations: Iterable[Conversation], tokenizer: PreTrainedTokenizerBase, train: DecoderTrain
) -> tuple[list[Example], list[Dropped]]:
    """Render, tokenise and cut each conversation; a row with no trainable token is dropped."""
    template = training_template(tokenizer) if train.assistant_only_loss else None
    examples, dropped = [], []
    for conversation in conversations:
        example = _example(conversation, tokenizer, train.max_length, template)
        if example.n_trainable:
            examples.append(example)
        else:
            cut = example.n_tokens_uncut > train.max_length
            why = f"the answer begins after token {train.max_length}" if cut else "the template marks no token of it"
            dropped.append(Dropped(conversation.where, "no_trainable_token", why))
    return examples, dropped


def stop_is_learned(examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether the model learns to stop: some uncut row has the stop token in its loss."""
    whole = [e for e in examples if e.n_tokens_uncut == len(e.input_ids)]
    return not whole or any(tokenizer.eos_token_id in e.labels for e in whole)


def prompt_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """The token ids of a prompt as served: the saved template, with the generation prompt."""
    return rendered_ids(tokenizer, messages, add_generation_prompt=True)


def rendered_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], **options: Any) -> list[int]:
    """The token ids of whole conversations."""
    return list(tokenizer.apply_chat_template(list(messages), tokenize=True, return_dict=True, **options)["input_ids"])


def _example(
    conversation: Conversation, tokenizer: PreTrainedTokenizerBase, max_length: int, template: str | None
) -> Example:
    messages = list(conversation.messages)
    if template is None:
        ids = rendered_ids(tokenizer, messages)
        labels = list(ids)
    else:
        out = tokenizer.apply_chat_template(
            messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, chat_template=template
        )
        ids, mask = list(out["input_ids"]), out["assistant_masks"]
        labels = [token if learned else IGNORED for token, learned in zip(ids, mask, strict=True)]
    return Example(
        where=conversation.where,
        key=conversation.key,
        answer=messages[-1]["content"],
        text=said(messages),
        input_ids=tuple(ids[:max_length]),
        labels=tuple(labels[:max_length]),
        n_tokens_uncut=len(ids),
        features={"messages": messages},
    )


def _template_file(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InvalidInput(
            f"The chat template {path} cannot be read: {error.strerror}.", field="base.chat_template"
        ) from error
