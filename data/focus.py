"""Which sentences of a long premise to keep: those that share most words with the hypothesis, in their order. Knows no tokenizer.

Training and serving share it: `head_config.json` of a grounding adapter says `"premise": "focused"`.
"""

import math
import re
from collections import Counter

from data.sentences import sentence_spans

WORD = re.compile(r"\w+")
MOST_WORDS = 150
"""Words of a premise that are read; about 200 tokens."""


def focused(premise: str, hypothesis: str, most_words: int = MOST_WORDS) -> str:
    """The premise, or the sentences of it that share most rare words with the hypothesis."""
    if len(premise.split()) <= most_words:
        return premise
    sentences = [premise[start:end] for start, end in sentence_spans(premise)]
    words = [set(WORD.findall(sentence.casefold())) for sentence in sentences]
    known = Counter(word for found in words for word in found)
    asked = set(WORD.findall(hypothesis.casefold()))
    weights = {word: math.log(1 + len(sentences) / n) for word, n in known.items()}
    worth = [sum(weights[word] for word in found & asked) for found in words]
    kept: list[int] = []
    room = most_words
    for i in sorted(range(len(sentences)), key=lambda i: (-worth[i], i)):
        n = len(sentences[i].split())
        if n <= room or not kept:
            kept.append(i)
            room -= n
    return " ".join(sentences[i] for i in sorted(kept))
