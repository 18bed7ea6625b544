"""Finds personal data by shape and checksum: e-mail addresses, phone, card and account numbers, IP addresses."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class PersonalData:
    kind: str
    start: int
    end: int


PATTERNS = {
    "email": re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b"),
    "iban": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "card": re.compile(r"\b(?:\d[ -]?){12,18}\d\b"),
    "ssn": re.compile(r"\b\d{3}-\d{2}-\d{4}\b"),
    "ip": re.compile(r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b"),
    "phone": re.compile(r"(?<![\w.])(?:\+\d{1,3}[ ./-]?)?(?:\(\d{1,5}\)[ ./-]?)?\d{2,5}(?:[ ./-]\d{2,5}){2,4}(?!\w)"),
}


DATE = re.compile(r"(?:19|20)\d\d[./-]\d\d[./-]\d\d|\d\d[./-]\d\d[./-](?:19|20)\d\d")


def personal_data(text: str) -> list[PersonalData]:
    """Return what was found, in order and without overlaps; the more specific kind wins."""
    found: list[PersonalData] = []
    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            taken = any(f.start < match.end() and match.start() < f.end for f in found)
            if not taken and _is_valid(kind, match[0]):
                found.append(PersonalData(kind, *match.span()))
    return sorted(found, key=lambda f: f.start)


def redacted(text: str) -> str:
    """`text` with each finding replaced by its kind in brackets."""
    for f in reversed(personal_data(text)):
        text = f"{text[: f.start]}[{f.kind}]{text[f.end :]}"
    return text


def _is_valid(kind: str, text: str) -> bool:
    if kind == "card":
        return _luhn([int(c) for c in text if c.isdigit()])
    if kind == "iban":
        return _iban(text.replace(" ", ""))
    if kind == "phone":
        return DATE.match(text) is None
    return True


def _luhn(digits: list[int]) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [d * 2 - 9 * (d > 4) if i % 2 else d for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _iban(text: str) -> bool:
    """ISO 13616: the rearranged number leaves 1 modulo 97."""
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1
