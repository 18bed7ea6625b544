"""Follow-up questions: made to stand alone, by the model where there is one, else by carrying over what they refer to."""

import re
from collections.abc import Callable, Sequence

from app.screening import injected
from data.words import FUNCTION_WORDS
from prompts.registry import load_prompt

Turn = tuple[str, str]
Complete = Callable[[Sequence[tuple[str, str]]], str]
REWRITE = "rewrite"
MAX_TURNS = 8
MAX_REWRITTEN = 1000
"""Characters."""
REFERS_BACK = re.compile(
    r"\b(it|its|they|them|their|he|she|his|her|him|this|that|these|those|there|then|one|ones|same|former|latter|both|else|instead)\b",
    re.I,
)
OPENS_AS_FOLLOW_UP = re.compile(
    r"^\W*(and|but|so|or|also|what about|how about|what if|why not|which one|for how long|since when|until when)\b",
    re.I,
)
WORD = re.compile(r"\w[\w'’-]*")


def turns_of(history: Sequence[tuple[str, str]]) -> tuple[Turn, ...]:
    """(question, answer) pairs out of (role, text) messages."""
    turns: list[Turn] = []
    for role, text in history:
        if role == "user":
            turns.append((text, ""))
        elif turns:
            turns[-1] = (turns[-1][0], text)
    return tuple(turns)


def rewritten_by(complete: Complete, question: str, turns: Sequence[Turn]) -> str:
    """The model's rewriting of `question`, one that can be searched without the conversation; `turns` are oldest first.

    Empty when it is not one short line, or gives orders: whatever else the model says is ignored.
    """
    said = complete(load_prompt(REWRITE).render(history=_history(turns), question=question)).strip().strip('"').strip()
    return said if "\n" not in said and len(said) <= MAX_REWRITTEN and not injected(said) else ""


def carried_over(question: str, before: str) -> str:
    """`question` with the content words of the question before it, when it refers back to something or names nothing."""
    own = [word for word in WORD.findall(question) if word.lower() not in FUNCTION_WORDS]
    if not (REFERS_BACK.search(question) or OPENS_AS_FOLLOW_UP.search(question) or len(own) < 2):
        return question
    known = {word.lower() for word in own}
    topic = [w for w in WORD.findall(before) if w.lower() not in FUNCTION_WORDS and w.lower() not in known]
    return f"{question} ({' '.join(dict.fromkeys(topic))})" if topic else question


def _history(turns: Sequence[Turn]) -> str:
    return "\n".join(f"User: {asked}\nAssistant: {said}" for asked, said in turns[-MAX_TURNS:])
