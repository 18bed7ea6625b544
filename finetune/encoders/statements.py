"""A question with its answer, said as a statement (QA-NLI: Demszky et al. 2018, arXiv:1809.02922). Rules over words; knows no model.

The verb keeps the form that it had in the question ("Watt move to Glasgow in 1754"): what is learnt from is who, what and when.
"""

import re

WH = re.compile(
    r"\b(?:what|which|who|whom|whose|when|where|why|how (?:many|much|long|far|often|old|large|big|tall|fast)|how)\b",
    re.I,
)
BE = {"is", "are", "was", "were"}
HELPERS = {"do", "does", "did", "has", "have", "had", "can", "could", "will", "would", "may", "might", "must", "should"}
PREPOSITION = re.compile(r"in|on|at|by|for|from|of|to|with|under|through|during|into|about|after|before|between", re.I)
PARTICIPLE = re.compile(
    r"\w{2,}ed|born|built|held|known|made|found|given|taken|written|won|lost|sold|paid|led|left|put|set|sent|seen|shown|spent|"
    r"begun|broken|brought|chosen|cut|drawn|driven|fought|grown|kept|laid|located|lost|met|said|spoken|struck|taught|thought|told|"
    r"understood|worn|done|gone|run|be|been"
)
VERB = re.compile(
    r"\w{2,}ed|\w{2,}[^s\W]s|became|began|came|gave|got|grew|had|held|led|left|lost|made|met|ran|said|sold|took|went|won|wrote"
)


def statement(question: str, answer: str) -> str | None:
    """What the two say together; None where no rule applies, as for a question without a question word."""
    asked = question.strip().rstrip("?. ")
    match = WH.search(asked)
    if match is None:
        return None
    word = match[0].lower()
    before, after = asked[: match.start()].split(), asked[match.end() :].split()
    lead = before.pop() if before and PREPOSITION.fullmatch(before[-1]) else ""
    if before and len(after) <= 2:  # "The war ended in what year"
        return _said(*before, lead, answer, *after[2:])
    head = _until_verb(after)
    noun, rest = after[:head], after[head:]
    if not rest:
        return None
    verb, *rest = rest
    aside = [*before, "," if before else ""]
    told = _told(word, answer, noun, lead.lower())
    if rest and noun and PARTICIPLE.fullmatch(rest[0]):  # "Which station has run ..."
        return _said(*aside, *told, verb, *rest)
    if verb.lower() in HELPERS:
        return _said(*aside, *rest, *told) if rest else None
    if verb.lower() in BE:
        at = next((i for i, w in enumerate(rest) if i and PARTICIPLE.fullmatch(w)), None)
        if at is not None and (at < len(rest) - 1 or word != "who"):
            return _said(*aside, *rest[:at], verb, *rest[at:], *told)
        if word in ("who", "what", "which", "whose") or word.startswith("how "):
            return _said(*aside, *told, verb, *rest)
        return _said(*aside, *rest, verb, *told)
    return _said(*aside, *told, verb, *rest)


def _until_verb(words: list[str]) -> int:
    """How many words belong to the question word: "which | company | owns"."""
    for i, word in enumerate(words):
        if word.lower() in BE | HELPERS:
            return i
    return next((i for i, word in enumerate(words) if i and VERB.fullmatch(word)), 0)


def _told(word: str, answer: str, noun: list[str], lead: str) -> list[str]:
    """The answer as it stands in the statement."""
    if word == "why":
        return [answer] if answer.lower().startswith(("because", "to ", "due")) else ["because of", answer]
    if word == "when":
        return [answer] if PREPOSITION.fullmatch(answer.split()[0]) else ["in", answer]
    if word.startswith("how ") or word == "whose":
        return [lead, answer, *(n for n in noun if n.lower() not in answer.lower())]
    if word == "how":
        return [answer] if PREPOSITION.fullmatch(answer.split()[0]) else ["by", answer]
    return [lead, answer]


def _said(*words: str) -> str:
    text = " ".join(word for word in words if word).replace(" ,", ",").replace(",,", ",").rstrip(" .")
    return text[:1].upper() + text[1:] + "."
