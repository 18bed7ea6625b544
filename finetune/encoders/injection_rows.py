"""Rows of the injection classifier: contexts that retrieval brings, and orders planted in them. Pure functions.

Planting comes after the split: held-out categories of attacks go into held-out contexts only, so that neither was trained on.
"""

import dataclasses
import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence

from finetune.encoder_recipes import EncoderSource, Planting
from finetune.encoders.built_rows import BuiltRow, Files, Format, only, text_in, usable
from finetune.examples import Dropped
from finetune.rows import Row

INJECTION, BENIGN = "injection", "benign"
PLACES = ("start", "middle", "end")
PIECE = re.compile(r"\w+|[^\w\s]")
"""A word or a mark: about a token, so that what is planted at the end is not cut off with it."""
CODE = "code"
"""Attacks and contexts of this kind go together; every other attack goes into every other context."""


def context_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Contexts of BIPIA (e-mail, table, code), all benign."""

    def build(row: Row) -> BuiltRow:
        context = row.fields.get("context")
        text = "\n".join(str(line) for line in context) if isinstance(context, list) else text_in(row, "context")
        fields = {"text": text, "label": BENIGN, "kind": CODE if row.fields.get("task") == CODE else "text"}
        return BuiltRow(row.where, fields, text, (f"context:{text[:200]}",))

    yield from usable(only(files), build)


def attack_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Attacks of BIPIA, to be planted; the category is the group."""

    def build(row: Row) -> BuiltRow:
        attack, category = text_in(row, "attack"), str(row.fields.get("category", ""))
        kind = CODE if row.fields.get("kind") == CODE else "text"
        fields = {"text": attack, "label": INJECTION, "kind": kind}
        return BuiltRow(row.where, fields, attack, (f"attack:{category}",))

    yield from usable(only(files), build)


INJECTION_FORMATS: Mapping[str, Format] = {
    "bipia_contexts": Format(context_rows),
    "bipia_attacks": Format(attack_rows),
}


def planted(rows: Sequence[BuiltRow], how: Planting, seed: int) -> list[BuiltRow]:
    """The rows that host nothing, cut like hosts, and `per_text` hosts for each planted text.

    Places alternate between start, middle and end. Every document is as likely a host as any other, so that no source gives away
    whether something was planted.
    """
    rng = random.Random(seed)
    attacks = [row for row in rows if row.source in how.sources]
    others = [row for row in rows if row.source not in how.sources]
    out = [_cut(row, stretch(row, how, rng)) for row in others]
    decks = {kind: _deck(others, kind, rng) for kind in (CODE, "text")}
    number = 0
    for attack in attacks:
        for host in _take(decks[attack.fields.get("kind", "text")], how.per_text):
            out.append(_planted(attack, host, PLACES[number % len(PLACES)], how, rng))
            number += 1
    return out


def stretch(row: BuiltRow, how: Planting, rng: random.Random) -> str:
    """A stretch of at most `most_words` words and marks that begins at a random word; the whole text where it is shorter."""
    text = row.fields["text"]
    words = [match.span() for match in PIECE.finditer(text)]
    if len(words) <= how.most_words:
        return text
    n = rng.randint(how.most_words // 3, how.most_words)
    first = rng.randint(0, len(words) - n)
    return text[words[first][0] : words[first + n - 1][1]]


def with_attack(text: str, attack: str, place: str, rng: random.Random) -> str:
    """`attack` before, in or after `text`; in the middle it stands between sentences or lines, where there are any."""
    if place == "start":
        return f"{attack}{_gap(rng)}{text}"
    if place == "end":
        return f"{text}{_gap(rng)}{attack}"
    breaks = [i + 1 for i, (a, b) in enumerate(itertools.pairwise(text)) if a in ".!?\n|" and b.isspace()]
    breaks = [i for i in breaks if len(text) // 5 < i < len(text) * 4 // 5] or [len(text) // 2]
    at = rng.choice(breaks)
    return f"{text[:at]}{_gap(rng)}{attack}{_gap(rng)}{text[at:].lstrip()}"


def _cut(row: BuiltRow, text: str) -> BuiltRow:
    return dataclasses.replace(row, fields={**row.fields, "text": text}, key=text)


def _gap(rng: random.Random) -> str:
    return rng.choice((" ", "\n", "\n\n"))


def _planted(attack: BuiltRow, host: BuiltRow, place: str, how: Planting, rng: random.Random) -> BuiltRow:
    text = with_attack(stretch(host, how, rng), attack.fields["text"], place, rng)
    fields = {**host.fields, "text": text, "label": how.label, "place": place}
    where = f"{attack.where}+{host.where}@{place}"
    return BuiltRow(where, fields, text, (*attack.groups, *host.groups), attack.source)


def _deck(rows: Sequence[BuiltRow], kind: str, rng: random.Random) -> Iterator[BuiltRow]:
    """Endlessly: the documents of that kind, shuffled. None where no row is of it."""
    hosts = [
        row
        for row in rows
        if row.fields.get("kind", "text") == kind
        and len(row.fields["text"].split()) >= 15  # orders are planted in documents, not in questions
    ]
    rng.shuffle(hosts)
    return itertools.cycle(hosts)


def _take(deck: Iterator[BuiltRow], n: int) -> list[BuiltRow]:
    return [host for host, _ in zip(deck, range(n), strict=False)]
