"""A model that does what its prompt says, for tests of prompts: `fake_openai(replies=obedient)`.

It reads three things in the system message, and obeys them:
- "from memory": it makes something up, whatever the sources say;
- "[1]": it ends its sentence with the number of the source that it took it from;
- "I don't know": it says so where no sentence of the sources shares two words with the question.
Else it repeats the sentence of the sources that shares most words with the question. Any other wording changes nothing.
"""

import re

from data.sentences import sentence_spans
from data.words import FUNCTION_WORDS

SOURCE = re.compile(r"<<(SOURCE-\w+) (\d+)\n\(.*\)\n(.*?)\n\1 \2>>", re.DOTALL)
INVENTED = "It is forty-two, as everybody knows."


def obedient(request: dict) -> str:
    system = " ".join(m["content"] for m in request["messages"] if m["role"] == "system")
    asked = request["messages"][-1]["content"]
    if "from memory" in system:
        return INVENTED
    question = _words(asked.rpartition("Question:")[2])
    shared, sentence, number = max(_sentences(asked, question), default=(0, "", ""))
    if shared < 2:
        return "I don't know." if "I don't know" in system else INVENTED
    return f"{sentence.rstrip('.')} [{number}]." if "[1]" in system else sentence


def _sentences(text: str, question: set[str]):
    for _, number, source in SOURCE.findall(text):
        for start, end in sentence_spans(source):
            sentence = " ".join(source[start:end].split())
            yield len(question & _words(sentence)), sentence, number


def _words(text: str) -> set[str]:
    return {word[:6] for word in re.findall(r"\w+", text.lower()) if word not in FUNCTION_WORDS and len(word) > 2}
