"""python -m finetune.toy_decoder FOLDER [TEXT ...]: makes a decoder small enough for two cores, in a minute or two.

Qwen3 in miniature (1.3 M parameters), a byte-level BPE trained on the texts, a chat template that marks the assistant's turns, a
short pre-training on the texts as prose and as conversations. It knows nothing; adapters for it do. Knows no recipe.
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.utils.data import Dataset
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    Trainer,
    TrainingArguments,
    set_seed,
)

from data.errors import InvalidInput
from data.sentences import sentence_spans

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = Path(__file__).parent / "toy_template.jinja"
SAMPLES = Path(__file__).parent.parent / "data" / "samples"
BLOCK = 128
"""Tokens per pre-training row."""


@dataclass(frozen=True)
class ToyShape:
    """Heads have 32 dimensions each, whatever the width."""

    vocab_size: int = 4096
    hidden_size: int = 128
    n_layers: int = 4
    n_heads: int = 4
    n_kv_heads: int = 2
    max_length: int = 2048


def make_toy_decoder(
    folder: Path, texts: Sequence[str] = (), *, shape: ToyShape | None = None, steps: int = 200, seed: int = 17
) -> Path:
    """Write a decoder in Hugging Face layout into `folder`, and return it. `texts`: the sample documents by default.

    Raises: InvalidInput where the texts are too short for the vocabulary.
    """
    shape = shape or ToyShape()
    texts = list(texts) or sample_texts()
    set_seed(seed)
    tokenizer = _trained_tokenizer(texts, shape)
    model = Qwen3ForCausalLM(_config(shape, tokenizer)).float()
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=folder.parent
    ) as aside:  # several ranks may make it at once: the first rename wins
        _pretrain(model, _Blocks(list(_token_stream(texts, tokenizer, seed))), Path(aside), steps, seed)
        model.save_pretrained(Path(aside, "toy"))
        tokenizer.save_pretrained(Path(aside, "toy"))
        if not (folder / "config.json").exists():
            folder.mkdir(exist_ok=True)
            os.replace(Path(aside, "toy"), folder)
    return folder


def sample_texts() -> list[str]:
    """The sample documents that are plain text."""
    return [p.read_text("utf-8") for p in sorted(SAMPLES.rglob("*")) if p.suffix in (".md", ".txt", ".csv", ".eml")]


def _trained_tokenizer(texts: Sequence[str], shape: ToyShape) -> PreTrainedTokenizerFast:
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=shape.vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        model_max_length=shape.max_length,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = TEMPLATE.read_text("utf-8").rstrip("\n")
    return tokenizer


def _config(shape: ToyShape, tokenizer: PreTrainedTokenizerFast) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.hidden_size * 3,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        head_dim=32,
        max_position_embeddings=shape.max_length,
        tie_word_embeddings=True,
        initializer_range=0.08,  # 1 / sqrt(width): a narrow model's logits stay flat with the usual 0.02, and LoRA cannot mend that
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _token_stream(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, seed: int) -> Iterator[int]:
    """Prose, then its sentences as conversations that repeat them: so the model has seen turns begin, copy and end."""
    chance = random.Random(seed)
    sentences = [text[a:b] for text in texts for a, b in sentence_spans(text) if 10 <= b - a <= 200]
    chance.shuffle(sentences)
    turns = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": f"Repeat: {said}"}, {"role": "assistant", "content": said}], tokenize=False
        )
        for said in sentences[:2000]
    ]
    pieces = [*texts, *turns]
    chance.shuffle(pieces)
    for piece in pieces:
        yield from tokenizer(piece, add_special_tokens=False)["input_ids"]
        yield tokenizer.pad_token_id


class _Blocks(Dataset):
    def __init__(self, ids: list[int]) -> None:
        self.n = len(ids) // BLOCK
        if not self.n:
            raise InvalidInput(f"The texts are {len(ids)} tokens; at least {BLOCK} are needed.", field="texts")
        self.ids = torch.tensor(ids[: self.n * BLOCK]).reshape(self.n, BLOCK)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.ids[i], "labels": self.ids[i]}


def _pretrain(model: Qwen3ForCausalLM, blocks: _Blocks, folder: Path, steps: int, seed: int) -> None:
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=8,
        learning_rate=2e-3,
        lr_scheduler_type="cosine",
        warmup_steps=min(20, steps // 5),
        weight_decay=0.01,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        save_strategy="no",
        logging_steps=50,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )
    Trainer(model=model, args=arguments, train_dataset=blocks).train()


def main() -> None:
    parser = argparse.ArgumentParser(prog="finetune.toy_decoder", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("texts", nargs="*", type=Path, help="text files; the sample documents by default")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=17)
    given = parser.parse_args()
    texts = [path.read_text("utf-8") for path in given.texts]
    print(make_toy_decoder(given.folder, texts, steps=given.steps, seed=given.seed), file=sys.stdout)


if __name__ == "__main__":
    main()
