"""A BEIR folder of questions and the sentences that answer them, in the corpus's own order. Knows no kind of model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from finetune.encoders.built_rows import Files

BLOCK, GUARD = 700, 150
"""Sentences per block, and how near a block's edge a sentence belongs to both: articles are not marked and may straddle it."""
NUMBER = re.compile(r"(\d+)$")
BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "``": '"', "''": '"'}
SPLIT_BEFORE = re.compile(r" (?=(?:[,.;:?!%)\]]|'s\b|n't\b|'re\b|'ve\b|'ll\b|'d\b|'m\b))")
SPLIT_AFTER = re.compile(r"(?<=[(\[$]) ")


@dataclass(frozen=True)
class Pair:
    """A question and the id of the sentence that answers it."""

    where: str
    question: str
    sentence_id: str


@dataclass(frozen=True)
class SentenceCorpus:
    """`places` numbers the sentences in the order of their ids; `by_place` turns a number into the text."""

    texts: Mapping[str, str]
    places: Mapping[str, int]
    by_place: Mapping[int, str]
    pairs: tuple[Pair, ...]


def read_corpus(files: Files) -> SentenceCorpus:
    """Join corpus, queries and judgements. A question judged with several sentences makes several pairs."""
    texts = {str(row.fields["_id"]): str(row.fields["text"]) for row in files["corpus.jsonl.gz"]}
    queries = {str(row.fields["_id"]): row for row in files["queries.jsonl.gz"]}
    places = {name: _place(name, i) for i, name in enumerate(texts)}
    pairs = [
        Pair(queries[query].where, str(queries[query].fields["text"]), sentence)
        for row in files["qrels.tsv"]
        if (query := str(row.fields["query-id"])) in queries
        and (sentence := str(row.fields["corpus-id"])) in texts
        and float(row.fields.get("score", 1)) > 0
    ]
    return SentenceCorpus(texts, places, {place: texts[name] for name, place in places.items()}, tuple(pairs))


def group_of(place: int) -> tuple[str, ...]:
    """The block a sentence lies in, and the next one where it lies near the edge."""
    blocks = {max(0, place - GUARD) // BLOCK, place // BLOCK, (place + GUARD) // BLOCK}
    return tuple(f"block:{block}" for block in sorted(blocks))


def plain(text: str) -> str:
    """Tokenised text (Penn Treebank) as people write it, as far as rules can."""
    words = " ".join(BRACKETS.get(word, word) for word in text.split())
    return SPLIT_AFTER.sub("", SPLIT_BEFORE.sub("", words))


def _place(name: str, otherwise: int) -> int:
    number = NUMBER.search(name)
    return int(number[1]) if number else otherwise
