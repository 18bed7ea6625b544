"""A random BERT of two layers with a WordPiece vocabulary made here, and recipes on it."""

import gzip
import json
import sys
from pathlib import Path

import pytest

PEOPLE = ("anna", "boris", "clara", "david", "elena", "felix", "grete", "hanno", "irene", "jonas")
CITIES = ("oslo", "lima", "cairo", "delhi", "quito", "tunis", "seoul", "paris", "accra", "minsk")
WORDS = [
    "who",
    "what",
    "where",
    "when",
    "lives",
    "in",
    "the",
    "a",
    "city",
    "of",
    "works",
    "baker",
    "teacher",
    "doctor",
    "house",
    "old",
    "new",
    "is",
    "are",
    "was",
    "it",
    "and",
    "or",
    "not",
    ".",
    ",",
    "?",
    "!",
    "please",
    "ignore",
    "write",
    "send",
    "poem",
    "about",
    "order",
    "every",
    "now",
    "river",
    "bridge",
    "runs",
    "through",
    "stands",
    "near",
    "since",
    "year",
    "many",
    "people",
    "idiot",
    "nice",
    "day",
    "garden",
    "you",
    "good",
    "bad",
    "##s",
    "##er",
    "##ing",
]
LETTERS = [*"abcdefghijklmnopqrstuvwxyz0123456789:|-", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz0123456789")]


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for one another take longer than the tiny model does."""
    if "torch" not in sys.modules:  # nor does the test compute anything
        yield
        return
    import torch

    n = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    from tokenizers import BertWordPieceTokenizer
    from transformers import AutoTokenizer, BertConfig, BertModel, BertTokenizer, set_seed

    folder = tmp_path_factory.mktemp("tiny_bert")
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *PEOPLE, *CITIES, *WORDS, *LETTERS]
    vocabulary = {name: i for i, name in enumerate(dict.fromkeys(names))}
    BertTokenizer(tokenizer_object=BertWordPieceTokenizer(vocabulary)._tokenizer).save_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder)("anna lives")["input_ids"][1] == vocabulary["anna"]
    set_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tokenizer(tiny_bert):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_bert)


@pytest.fixture
def recipe_of(request, tmp_path):
    """A small recipe of any encoder kind on the tiny BERT; fast tests read rows and load no base."""
    from finetune.recipe import overridden, parse_recipe

    is_slow = request.node.get_closest_marker("slow")
    base = request.getfixturevalue("tiny_bert") if is_slow else tmp_path / "no-base"

    def make(kind: str, path: Path, *overrides: str, **more):
        given = {
            "kind": kind,
            "name": "small",
            "base": {"path": str(base)},
            "output": str(tmp_path / "out"),
            "data": {"train": [{"path": str(path), "licence": "CC0-1.0"}], "eval_share": 0.25},
            "lora": {"r": 8, "alpha": 16},
            "train": {
                "max_length": 64,
                "batch_size": 8,
                "max_steps": 30,
                "learning_rate": 1e-2,
                "warmup_steps": 2,
                "logging_steps": 5,
                "early_stopping": None,
            },
            "preflight": {"suites": []},
            "parity": {"n_prompts": 3},
            "tracking": {"enabled": False},
        } | more
        return parse_recipe(overridden(given, overrides))

    return make


def written(path: Path, rows: list[dict]) -> Path:
    """Rows as JSONL, gzipped where the name says so."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def resident(person: str, city: str) -> str:
    return f"{person} lives in the city of {city} ."


def question_rows() -> list[dict]:
    """Who lives where, in articles of one city each; the last person of an article is not told."""
    rows = []
    for i, city in enumerate(CITIES):
        for j, person in enumerate(PEOPLE):
            context = f"the river runs through {city} . {resident(person, city)} it is {('old', 'new')[j % 2]} ."
            asked = f"where is {person} in house {i}{j} ?"
            answers = [{"text": city, "answer_start": context.index(city, context.index(person))}]
            rows.append(
                {"id": f"{i}-{j}", "title": f"article {i}", "question": asked, "context": context}
                | ({"answers": [], "is_impossible": True} if j == 9 else {"answers": answers, "is_impossible": False})
            )
    return rows
