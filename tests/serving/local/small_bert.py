"""A small random BERT in the layout of published weights, an adapter for it, and BERT by the book to compare with."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from serving.local.bert_graph import BertShape

DIM, WIDE, WORDS, LENGTH = 8, 16, 20, 12
SHAPE = BertShape(n_layers=2, n_heads=2, layer_norm_eps=1e-12)
MODULES = ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense")
SIZES = dict.fromkeys(MODULES, (DIM, DIM)) | {"intermediate.dense": (WIDE, DIM), "output.dense": (DIM, WIDE)}


def small_weights(n_words: int = WORDS, length: int = LENGTH) -> dict[str, NDArray]:
    rng = np.random.default_rng(3)

    def normal(*size: int) -> NDArray:
        return rng.normal(0, 0.5, size).astype(np.float32)

    def norm(name: str) -> dict[str, NDArray]:
        return {f"{name}.LayerNorm.weight": 1 + normal(DIM), f"{name}.LayerNorm.bias": normal(DIM)}

    weights = {
        "embeddings.word_embeddings.weight": normal(n_words, DIM),
        "embeddings.position_embeddings.weight": normal(length, DIM),
        "embeddings.token_type_embeddings.weight": normal(2, DIM),
        **norm("embeddings"),
    }
    for layer in range(SHAPE.n_layers):
        name = f"encoder.layer.{layer}"
        for module, size in SIZES.items():
            weights |= {f"{name}.{module}.weight": normal(*size), f"{name}.{module}.bias": normal(size[0])}
        weights |= norm(f"{name}.attention.output") | norm(f"{name}.output")
    return weights


def small_deltas(seed: int, rank: int, modules: Sequence[str] = tuple(SIZES)) -> dict[str, tuple[NDArray, NDArray]]:
    """Down [in, rank] and up [rank, out] for each of the modules in each layer."""
    rng = np.random.default_rng(seed)
    return {
        f"encoder.layer.{layer}.{module}": (
            rng.normal(0, 0.3, (SIZES[module][1], rank)).astype(np.float32),
            rng.normal(0, 0.3, (rank, SIZES[module][0])).astype(np.float32),
        )
        for layer in range(SHAPE.n_layers)
        for module in modules
    }


def write_base(folder: Path, weights: Mapping[str, NDArray]) -> Path:
    """The folder as a model is published: weights and what shape they have."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights), folder / "model.safetensors")
    shape = {"num_hidden_layers": SHAPE.n_layers, "num_attention_heads": SHAPE.n_heads, "layer_norm_eps": 1e-12}
    (folder / "config.json").write_text(json.dumps(shape))
    return folder


def reference_states(
    w: Mapping[str, NDArray],
    ids: Sequence[int],
    types: Sequence[int] | None = None,
    deltas: Mapping[str, tuple[NDArray, NDArray]] | None = None,
    n_layers: int = SHAPE.n_layers,
) -> NDArray[np.float64]:
    """BERT by the book with an adapter, in float64: states [tokens, dim]."""
    types, deltas = types or [0] * len(ids), deltas or {}

    def norm(x: NDArray, name: str) -> NDArray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + SHAPE.layer_norm_eps)
        return x * w[f"{name}.LayerNorm.weight"] + w[f"{name}.LayerNorm.bias"]

    def dense(x: NDArray, name: str) -> NDArray:
        out = x @ w[f"{name}.weight"].T.astype(np.float64) + w[f"{name}.bias"]
        return out + x @ deltas[name][0].astype(np.float64) @ deltas[name][1] if name in deltas else out

    def heads(x: NDArray) -> NDArray:
        return x.reshape(len(ids), SHAPE.n_heads, -1).swapaxes(0, 1)

    x = w["embeddings.word_embeddings.weight"][list(ids)].astype(np.float64)
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][list(types)], "embeddings")
    for layer in range(n_layers):
        name = f"encoder.layer.{layer}"
        q, k, v = (heads(dense(x, f"{name}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = np.exp(q @ k.swapaxes(1, 2) / math.sqrt(DIM / SHAPE.n_heads))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(ids), DIM)
        x = norm(x + dense(mixed, f"{name}.attention.output.dense"), f"{name}.attention.output")
        wide = dense(x, f"{name}.intermediate.dense")
        wide = wide * 0.5 * (1 + np.vectorize(math.erf)(wide / math.sqrt(2)))
        x = norm(x + dense(wide, f"{name}.output.dense"), f"{name}.output")
    return x


def write_adapter(
    folder: Path, deltas: Mapping[str, tuple[NDArray, NDArray]], *, n_outputs: int = 2, seed: int = 5, **config: object
) -> Path:
    """A folder as finetune writes it: PEFT's files (alpha is twice the rank), a random head, what its outputs mean."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = {}
    for module, (down, up) in deltas.items():
        saved[f"base_model.model.{module}.lora_A.weight"] = np.ascontiguousarray(down.T)
        saved[f"base_model.model.{module}.lora_B.weight"] = np.ascontiguousarray(up.T / 2)
    rank = max(down.shape[1] for down, _ in deltas.values())
    save_file(saved, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank, "lora_alpha": 2 * rank, "use_rslora": False}))
    rng = np.random.default_rng(seed)
    head = {"head.weight": rng.normal(size=(n_outputs, DIM)), "head.bias": rng.normal(size=n_outputs)}
    save_file({name: value.astype(np.float32) for name, value in head.items()}, folder / "head.safetensors")
    told = {"kind": "classifier", "pooling": "mean", "max_length": LENGTH, "labels": ["yes", "no"]} | config
    (folder / "head_config.json").write_text(json.dumps(told))
    return folder


VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *["the", "mill", "was", "built", "in", "1790", "burned", "down", "who", "when", "?", ".", "dog", "raised", "alarm"],
]


def write_tokenizer(folder: Path) -> Path:
    """tokenizer.json over the small vocabulary."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
