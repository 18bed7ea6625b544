"""Reads training rows (JSONL, also .gz) and says which cannot be used. Knows no tokenizer.

Conversations: `messages`, or `prompt` and `completion`. Preferences: `prompt`, `chosen`, `rejected`. Each may be text or messages.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import InvalidInput, NotFound
from finetune.examples import Dropped, FileDigest
from finetune.recipe_parts import Source

ROLES = ("system", "user", "assistant", "tool")
Message = dict[str, str]


@dataclass(frozen=True)
class Row:
    """`where` is file:line."""

    where: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Conversation:
    """`key` is what is asked, without what every row repeats (system prompt, retrieved sources)."""

    where: str
    messages: tuple[Message, ...]
    key: str


@dataclass(frozen=True)
class Preference:
    """Two answers to one prompt. `key` is what is asked."""

    where: str
    key: str
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]


class UnusableRow(Exception):
    """`reason` is a short code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read_source(source: Source, role: str) -> tuple[list[Row], list[Dropped], FileDigest]:
    """All rows of one file, lines that are no JSON object, and the file's digest. Raises: NotFound."""
    if not source.path.is_file():
        raise NotFound(f"There is no file {source.path}.", next_step=f"Mend the path in data.{role}.")
    raw = source.path.read_bytes()
    text = (gzip.decompress(raw) if source.path.suffix == ".gz" else raw).decode("utf-8", "replace")
    rows, dropped = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        where = f"{source.path.name}:{number}"
        try:
            fields = json.loads(line)
        except ValueError as error:
            dropped.append(Dropped(where, "not_json", str(error)))
            continue
        if isinstance(fields, dict):
            rows.append(Row(where, fields))
        else:
            dropped.append(Dropped(where, "not_an_object", type(fields).__name__))
    return rows, dropped, FileDigest(source, hashlib.sha256(raw).hexdigest(), len(rows), role)


def read_sources(sources: Iterable[Source], role: str) -> tuple[list[Row], list[Dropped], list[FileDigest]]:
    """The rows of several files, in order."""
    rows: list[Row] = []
    dropped: list[Dropped] = []
    digests: list[FileDigest] = []
    for source in sources:
        more, bad, digest = read_source(source, role)
        rows += more
        dropped += bad
        digests.append(digest)
    return rows, dropped, digests


def conversation_of(row: Row) -> Conversation:
    """The conversation in a row. Raises: UnusableRow."""
    fields = row.fields
    if "messages" in fields:
        messages = _messages(fields["messages"], "messages", "user")
    elif "prompt" in fields and "completion" in fields:
        messages = _messages(fields["prompt"], "prompt", "user") + _messages(
            fields["completion"], "completion", "assistant"
        )
    else:
        raise UnusableRow("no_conversation", f"has {', '.join(fields)}; needs `messages`, or `prompt` and `completion`")
    if messages[-1]["role"] != "assistant":
        raise UnusableRow("no_answer", f"ends with the turn of `{messages[-1]['role']}`")
    if not messages[-1]["content"].strip():
        raise UnusableRow("empty_answer", "the last turn says nothing")
    return Conversation(row.where, messages, asked(messages[:-1]))


def preference_of(row: Row) -> Preference:
    """The pair in a row. Raises: UnusableRow."""
    missing = [name for name in ("prompt", "chosen", "rejected") if name not in row.fields]
    if missing:
        raise UnusableRow("no_preference", f"lacks {', '.join(missing)}")
    prompt = _messages(row.fields["prompt"], "prompt", "user")
    chosen, rejected = (_messages(row.fields[name], name, "assistant") for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise UnusableRow("no_difference", "chosen and rejected are equal")
    return Preference(row.where, asked(prompt), prompt, chosen, rejected)


def held_out(keys: Sequence[str], share: float, seed: int) -> list[bool]:
    """Which rows are held out: decided by a hash of the key, so equal rows fall on one side, in every run."""
    limit = round(share * 2**32)
    digests = (hashlib.sha256(f"{seed}:{normalised(key)}".encode()).digest() for key in keys)
    return [int.from_bytes(digest[:4], "big") < limit for digest in digests]


def normalised(text: str) -> str:
    """`text` without differences of case and whitespace."""
    return " ".join(text.casefold().split())


def asked(messages: Iterable[Message]) -> str:
    """What the turns say, without system prompts: two rows that ask the same are one question."""
    return said(message for message in messages if message["role"] != "system")


def said(messages: Iterable[Message]) -> str:
    """What the turns say, one after the other."""
    return "\n".join(message["content"] for message in messages)


def file_sha256(path: Path) -> str:
    """sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _messages(given: Any, field: str, role: str) -> tuple[Message, ...]:
    if isinstance(given, str):
        return ({"role": role, "content": given},)
    if not isinstance(given, list) or not given:
        raise UnusableRow("not_messages", f"`{field}` must be a text or a list of messages")
    return tuple(_checked(given, field))


def _checked(given: list[Any], field: str) -> Iterator[Message]:
    for message in given:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            raise UnusableRow("not_messages", f"`{field}` must hold objects with `role` and `content`")
        if message.get("role") not in ROLES:
            raise UnusableRow("unknown_role", f"`{message.get('role')}` is none of {', '.join(ROLES)}")
        yield {"role": message["role"], "content": message["content"]}


def need_rows(n: int, dropped: Sequence[Dropped], what: str) -> None:
    """Raises: InvalidInput where nothing is left to use, with the first reason."""
    if n:
        return
    first = f" The first: {dropped[0].where}: {dropped[0].reason}: {dropped[0].detail}." if dropped else ""
    raise InvalidInput(f"No {what} row is usable; {len(dropped)} were dropped.{first}", field=f"data.{what}")
