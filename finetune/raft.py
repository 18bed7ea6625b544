"""Builds retrieval-augmented conversations from chunks and questions: pure, deterministic, no model.

Each question is shown its chunks among distractors in the form that Assay serves (`prompts/templates`); the answer cites them.
Some questions are repeated without their chunks: "I don't know." Zhang et al. 2024, RAFT, arXiv:2403.10131, section 3.
"""

import hashlib
import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from data.sentences import sentence_spans
from data.words import FUNCTION_WORDS
from finetune.rows import Conversation, Message, UnusableRow
from prompts.registry import Prompt, load_prompt

UNKNOWN = "I don't know."
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class SourceChunk:
    id: str
    text: str
    title: str = ""


@dataclass(frozen=True)
class Question:
    """`chunks` are the ids of those that answer it; none: the collection does not."""

    where: str
    question: str
    answer: str
    chunks: tuple[str, ...]


@dataclass(frozen=True)
class RaftShape:
    n_distractors: int = 3
    unanswerable_share: float = 0.2
    prompt: str = "answer@1"
    seed: int = 17


def build_raft(questions: Sequence[Question], chunks: Sequence[SourceChunk], shape: RaftShape) -> list[Conversation]:
    """One conversation per question, and one more without its chunks for `unanswerable_share` of them."""
    name, _, version = shape.prompt.partition("@")
    prompt = load_prompt(name, int(version) if version else None)
    nearest = _Nearest(chunks)
    by_id = {chunk.id: chunk for chunk in chunks}
    built = []
    for question in questions:
        chance = random.Random(f"{shape.seed}:{question.question}")
        built.append(_conversation(question, by_id, nearest, prompt, shape, chance))
        if question.chunks and chance.random() < shape.unanswerable_share:
            bare = replace(question, where=f"{question.where} without its chunks", chunks=(), answer=UNKNOWN)
            built.append(_conversation(bare, by_id, nearest, prompt, shape, chance, hidden=question.chunks))
    return built


def question_of(where: str, fields: Mapping, known: Mapping[str, SourceChunk]) -> Question:
    """A question from a row. Raises: UnusableRow, also for chunks that are not in the collection."""
    ids = tuple(fields.get("chunks") or ())
    if not isinstance(fields.get("question"), str) or not fields["question"].strip():
        raise UnusableRow("no_question", "lacks `question`")
    if missing := [i for i in ids if i not in known]:
        raise UnusableRow("unknown_chunk", f"cites {', '.join(map(str, missing))}, which no chunk file has")
    if ids and not str(fields.get("answer") or "").strip():
        raise UnusableRow("no_answer", "has chunks but no `answer`")
    return Question(where, fields["question"], fields["answer"] if ids else UNKNOWN, ids)


def chunk_of(where: str, fields: Mapping) -> SourceChunk:
    """A chunk from a row. Raises: UnusableRow."""
    if not isinstance(fields.get("text"), str) or "id" not in fields:
        raise UnusableRow("no_chunk", f"{where} lacks `id` or `text`")
    return SourceChunk(str(fields["id"]), fields["text"], str(fields.get("title") or ""))


def source_text(number: int, chunk: SourceChunk, fence: str) -> str:
    """A source as the model is shown it. The same as `app.generation`; a test compares the two."""
    return f"<<{fence} {number}\n({chunk.title})\n{chunk.text.replace(fence, '')}\n{fence} {number}>>"


def cited(answer: str, shown: Sequence[tuple[int, SourceChunk]]) -> str:
    """Each sentence followed by the numbers of the gold chunks that share most words with it."""
    words = [(number, set(_words(chunk.text))) for number, chunk in shown]
    told = []
    for start, end in sentence_spans(answer):
        sentence = answer[start:end]
        shares = [(len(has & set(_words(sentence))), number) for number, has in words]
        best = max(shares)[0]
        told.append(
            f"{sentence} "
            + "".join(f"[{number}]" for share, number in sorted(shares, key=lambda s: s[1]) if share == best)
        )
    return " ".join(told)


def _conversation(
    question: Question,
    by_id: Mapping[str, SourceChunk],
    nearest: "_Nearest",
    prompt: Prompt,
    shape: RaftShape,
    chance: random.Random,
    hidden: Sequence[str] = (),
) -> Conversation:
    gold = [by_id[i] for i in question.chunks]
    n_others = shape.n_distractors + (len(hidden) or (0 if gold else 1))
    shown = gold + nearest.chunks(question.question, n_others, {*question.chunks, *hidden})
    chance.shuffle(shown)
    numbered = list(enumerate(shown, 1))
    fence = f"SOURCE-{chance.getrandbits(32):08x}"
    sources = "\n\n".join(source_text(n, chunk, fence) for n, chunk in numbered)
    messages: list[Message] = [
        {"role": role, "content": text}
        for role, text in prompt.render(fence=fence, sources=sources, question=question.question)
    ]
    mine = [(n, chunk) for n, chunk in numbered if chunk.id in question.chunks]
    answer = cited(question.answer, mine) if mine else UNKNOWN
    return Conversation(question.where, (*messages, {"role": "assistant", "content": answer}), question.question)


class _Nearest:
    """Chunks by shared words, rare ones first (inverse document frequency). What retrieval would wrongly return."""

    def __init__(self, chunks: Sequence[SourceChunk]) -> None:
        self._chunks = chunks
        self._holders: dict[str, list[int]] = defaultdict(list)
        for i, chunk in enumerate(chunks):
            for word in set(_words(chunk.text)):
                self._holders[word].append(i)

    def chunks(self, text: str, n: int, without: set[str]) -> list[SourceChunk]:
        scores: Counter[int] = Counter()
        for word in set(_words(text)):
            for i in self._holders.get(word, ()):
                scores[i] += math.log(1 + len(self._chunks) / len(self._holders[word]))
        ranked = sorted(range(len(self._chunks)), key=lambda i: (-scores[i], _shuffled(text, i)))
        return [self._chunks[i] for i in ranked if self._chunks[i].id not in without][:n]


def _shuffled(text: str, i: int) -> bytes:
    return hashlib.sha256(f"{text}:{i}".encode()).digest()


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.casefold()) if word not in FUNCTION_WORDS]
