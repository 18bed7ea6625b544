"""Finds personal data by shape, checksum and the words beside it; knows no names, addresses or birthdays.

Numbers that could be anything count as phone numbers only beside a word such as "call" or "fax": a table of figures is no leak.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

IBAN_LENGTHS = {
    country: int(length)
    for country, length in map(
        str.split, (Path(__file__).parent / "iban_lengths.txt").read_text(encoding="utf-8").splitlines()
    )
}
"""ISO 13616: how long an account number of each country is."""


@dataclass(frozen=True)
class PersonalData:
    kind: str
    start: int
    end: int


PERSONAL = ("email", "iban", "card", "ssn", "ip", "phone")
"""What counts as personal data unless the caller says otherwise."""
KINDS = ("email", "iban", "card", "ssn", "ip", "url", "phone")
"""Everything that can be found. A web address alone seldom tells who somebody is."""

EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}\b")
IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{1,4}){3,8}(?!\w)")
CARD = re.compile(r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\d-]|\.\d)")
ISSUERS = re.compile(r"[456]|3[0-8]|2131|1800|0604|22[2-9]|2[3-6]|27[0-2]")
"""How numbers of payment cards begin (ISO/IEC 7812 issuer ranges in use)."""
SSN = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}([- ])(?!00)\d\d\1(?!0000)\d{4}(?![\d-])")
IPV4 = re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?!\d|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
URL = re.compile(
    r"(?<![\w@.-])(?:https?://[^\s<>()\"'\[\]]{1,2000}"
    r"|(?:www\.(?:[\w-]{1,63}\.){1,4}[a-z]{2,24}|(?:[a-z0-9-]{1,63}\.){1,4}(?:com|org|net|edu|gov|info|biz"
    r"|(?-i:de|fr|uk|es|nl|ch|se|dk|fi|pl|cz|hu|pt|ie|ca|au|nz|eu|za|jp|cn|br|mx|ru|si|ro|gr|io|ai|uy|tn|kr|tr)))"
    r"(?:/[^\s<>()\"'\[\]]{0,2000})?(?![\w@-]))",
    re.I,
)
EXTENSION = r"(?: ?(?:x|ext\.? ?)\d{1,6})?"
PHONE = re.compile(rf"(?<![\w.+/-])(?:\+|\()?\d[\d ()./-]{{3,22}}\d{EXTENSION}(?!\w)")
CERTAIN = re.compile(
    r"\+\d{1,3}[ .-]?(?:\(\d{1,5}\)[ .-]?)?\d{1,5}(?:[ ./-]?\d{2,8}){1,5}"  # +44 20 7946 0958
    r"|00\d{1,3}[ .-]\d{1,5}(?:[ .-]\d{2,8}){1,4}"  # 001-555-014-2233
    r"|\(\d{1,5}\) ?\d{2,5}(?:[ .-]?\d{2,5}){1,3}"  # (030) 2345-678
    r"|(?:1[ .-])?\d{3}[.-]\d{3}[.-]\d{4}"  # 555-014-2233
    r"|0\d{1,4}[ /-]\d{5,8}|0\d{1,4}(?:[ ./-]\d{2,4}){2,4}"  # 089-10446904, 089 72 63 41
)
POSSIBLE = re.compile(r"\d{2,5}(?:[ .-]\d{2,5}){1,4}|\d{7,11}|\d{2,5}[ -]\d{6,8}")
CUE_BEFORE = re.compile(
    r"\b(?:call(?:s|ed|ing)?|phones?|phoned|tel|telephones?|mobiles?|cell|cellphones?|handys?|landline|fax|faxed|dial(?:l?ed)?|ring"
    r"|rang|text(?:ed|ing)?|sms|whatsapp|signal|telegram|hotline|helpline|voicemail|pager|extension|reach(?:ed)?|answer(?:s|ing)"
    r"|contact(?:ed|s)?|messag(?:es?|ing)|(?:my|your|his|her|our|their|the|this|that|a)(?: new| old| current| other| following| work| home| office| private)? numbers?|(?:home|office|work|emergency|contact) numbers?)"
    r"(?:\W{1,4}(?:me|us|him|her|them|you|at|on|is|was|are|numbers?|nr|no|the|this|following|back|to|under|via|by|from|for|new|old|or))"
    r"{0,5}\W{0,4}$",
    re.I,
)
CUE_AFTER = re.compile(r"[\s,(-]{0,3}(?:office|fax|mobile|cell|home|phone|tel|work)\b(?!:)", re.I)
OTHER_CUE = re.compile(
    r"\b(?:account|order|invoice|ticket|case|ref|reference|id|isbn|part|version)\W{0,3}(?:no|number|is)?\W{0,3}$", re.I
)
VERSION_CUE = re.compile(r"\b(?:versions?|release|v|section|chapter|clause|paragraph|articles?|build)\W{0,2}$", re.I)
SSN_CUE = re.compile(r"\b(?:ssn|social security)\b[^\n]{0,24}$", re.I)
DATE = re.compile(
    r"(?:1[89]|20)\d\d[./ -]\d\d?[./ -]\d\d?(?!\d)|\d\d?[./ -]\d\d?[./ -](?:1[89]|20)\d\d(?!\d)|(?:1[89]|20)\d\d ?- ?(?:1[89]|20)\d\d$"
)
LOOK_BACK, LOOK_AHEAD = 48, 12
"""Characters beside a number in which a word may say what it is."""


def personal_data(text: str, kinds: Iterable[str] = PERSONAL) -> list[PersonalData]:
    """Return what was found of `kinds`, in order and without overlaps; the kinds that are told apart best come first."""
    found: list[PersonalData] = []
    taken = bytearray(len(text))
    for kind in (k for k in KINDS if k in frozenset(kinds)):
        for start, end in FINDERS[kind](text):
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append(PersonalData(kind, start, end))
    return sorted(found, key=lambda f: f.start)


def redacted(text: str) -> str:
    """`text` with each finding replaced by its kind in brackets."""
    for f in reversed(personal_data(text)):
        text = f"{text[: f.start]}[{f.kind}]{text[f.end :]}"
    return text


def _emails(text: str) -> Iterator[tuple[int, int]]:
    yield from (match.span() for match in EMAIL.finditer(text))


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    """Cut to the length of its country, so that a word behind it does not hide it."""
    for match in IBAN.finditer(text):
        length, end = IBAN_LENGTHS.get(match[0][:2].upper(), 0), match.start()
        for character in match[0]:
            if not length:
                break
            length -= character != " "
            end += 1
        number = text[match.start() : end].replace(" ", "")
        ends_word = not text[end : end + 1].isalnum()
        if length == 0 and ends_word and number.isascii() and number[:2].upper() in IBAN_LENGTHS and _mod_97(number):
            yield match.start(), end


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in CARD.finditer(text):
        digits = "".join(c for c in match[0] if c.isdigit())
        if ISSUERS.match(digits) and _luhn([int(c) for c in digits]):
            yield match.span()


def _ssns(text: str) -> Iterator[tuple[int, int]]:
    for match in SSN.finditer(text):
        if match[1] == "-" or SSN_CUE.search(_before(text, match.start())):
            yield match.span()


def _ips(text: str) -> Iterator[tuple[int, int]]:
    for match in IPV4.finditer(text):
        if not VERSION_CUE.search(_before(text, match.start())):
            yield match.span()
    for match in IPV6.finditer(text):
        groups = [group for group in match[0].split(":") if group]
        if len(groups) > 2 and any(c.isdigit() for c in match[0]) and _is_ipv6(match[0]):
            yield match.span()


def _urls(text: str) -> Iterator[tuple[int, int]]:
    for match in URL.finditer(text):
        yield match.start(), match.start() + len(match[0].rstrip(".,;:!?"))


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for match in PHONE.finditer(text):
        number = match[0]
        digits = sum(c.isdigit() for c in re.split(r"x|ext", number, maxsplit=1)[0])
        if not 6 <= digits <= 15 or DATE.search(number) or _is_ipv4(number):
            continue
        plain = re.sub(EXTENSION + "$", "", number)
        before, after = _before(text, match.start()), text[match.end() : match.end() + LOOK_AHEAD]
        if (CERTAIN.fullmatch(plain) and digits >= 7 and not OTHER_CUE.search(before)) or (
            POSSIBLE.fullmatch(plain) and (CUE_BEFORE.search(before) or CUE_AFTER.match(after))
        ):
            yield match.span()


FINDERS: dict[str, Callable[[str], Iterator[tuple[int, int]]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "ssn": _ssns,
    "ip": _ips,
    "url": _urls,
    "phone": _phones,
}


def _before(text: str, at: int) -> str:
    return text[max(0, at - LOOK_BACK) : at]


def _is_ipv4(text: str) -> bool:
    return IPV4.fullmatch(text) is not None


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _luhn(digits: list[int]) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [d * 2 - 9 * (d > 4) if i % 2 else d for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _mod_97(text: str) -> bool:
    """ISO 13616: the rearranged number leaves 1 modulo 97."""
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1
