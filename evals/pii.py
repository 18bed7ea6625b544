"""Measures a finder of personal data against texts with marked spans (presidio-research's fields). Takes any callable."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import InvalidInput
from evals.intervals import wilson
from evals.json_lines import read_rows

Find = Callable[[str], Sequence[tuple[str, int, int]]]
"""A text to (kind, start, end), end exclusive."""
LABELS: Mapping[str, str] = {
    "EMAIL_ADDRESS": "email",
    "EMAIL": "email",
    "PHONE_NUMBER": "phone",
    "PHONE": "phone",
    "CREDIT_CARD": "card",
    "CREDIT_CARD_NUMBER": "card",
    "IBAN_CODE": "iban",
    "IBAN": "iban",
    "US_SSN": "ssn",
    "SSN": "ssn",
    "IP_ADDRESS": "ip",
    "DOMAIN_NAME": "url",
    "URL": "url",
}
"""Names of entity types in such data, and what we call them. Every other type is one that we do not claim to find."""
BETA = 2.0
"""F2: a leak counts more than a false alarm."""


@dataclass(frozen=True)
class Marked:
    """A text and its gold spans (entity type, start, end)."""

    text: str
    spans: tuple[tuple[str, int, int], ...]


def load_marked(path: Path) -> list[Marked]:
    """Rows with `full_text` (or `text`) and `spans`. Raises: InvalidInput naming the first row that does not fit."""
    rows = [_marked(row, number, path) for number, row in enumerate(read_rows(path), 1)]
    if not rows:
        raise InvalidInput(f"{path} holds no row.", field="data")
    return rows


def measure(rows: Iterable[Marked], find: Find) -> dict[str, Any]:
    """Precision, recall and F2 of each kind, and what became of the types that nobody claims to find.

    A finding is right where it overlaps a span of its own type; a span is recalled where such a finding overlaps it, `whole`
    where findings of any kind cover all its letters and digits, `exact` where the ends agree but for punctuation.
    """
    tally = _Tally()
    for row in rows:
        tally.add(row, list(find(row.text)))
    kinds = {kind: tally.measures(kind) for kind in sorted(tally.kinds)}
    return {
        "n_texts": tally.n_texts,
        "n_spans": sum(tally.spans.values()),
        "kinds": kinds,
        "all_claimed": tally.measures(None),
        "not_claimed": {
            label: {"spans": n, "covered_by_chance": tally.covered[label]}
            for label, n in sorted(tally.unclaimed.items())
        },
        "false_alarms_on": {kind: dict(on.most_common()) for kind, on in sorted(tally.false_on.items()) if on},
    }


class _Tally:
    def __init__(self) -> None:
        self.n_texts = 0
        self.spans: Counter[str] = Counter()
        self.recalled: Counter[str] = Counter()
        self.whole: Counter[str] = Counter()
        self.exact: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.right: Counter[str] = Counter()
        self.unclaimed: Counter[str] = Counter()
        self.covered: Counter[str] = Counter()
        self.false_on: dict[str, Counter[str]] = {}

    @property
    def kinds(self) -> set[str]:
        return set(self.spans) | set(self.found)

    def add(self, row: Marked, findings: list[tuple[str, int, int]]) -> None:
        self.n_texts += 1
        for label, start, end in row.spans:
            kind = LABELS.get(label)
            of_kind = [(s, e) for k, s, e in findings if k == kind and s < end and start < e]
            is_whole = _is_covered(row.text, start, end, findings)
            if kind is None:
                self.unclaimed[label] += 1
                self.covered[label] += is_whole
                continue
            self.spans[kind] += 1
            self.recalled[kind] += bool(of_kind)
            self.whole[kind] += is_whole
            self.exact[kind] += any(_core(row.text, s, e) == _core(row.text, start, end) for s, e in of_kind)
        for kind, start, end in findings:
            self.found[kind] += 1
            met = [label for label, s, e in row.spans if s < end and start < e]
            if any(LABELS.get(label) == kind for label in met):
                self.right[kind] += 1
            else:
                self.false_on.setdefault(kind, Counter())[met[0] if met else "nothing marked"] += 1

    def measures(self, kind: str | None) -> dict[str, Any]:
        """Of one kind, or of all together."""

        def n(counter: Counter[str]) -> int:
            return sum(counter.values()) if kind is None else counter[kind]

        precision = n(self.right) / n(self.found) if n(self.found) else None
        recall = n(self.recalled) / n(self.spans) if n(self.spans) else None
        return {
            "spans": n(self.spans),
            "found": n(self.found),
            "precision": _rounded(precision),
            "precision_95": wilson(n(self.right), n(self.found)),
            "recall": _rounded(recall),
            "recall_95": wilson(n(self.recalled), n(self.spans)),
            "f2": _rounded(_f_beta(precision, recall)),
            "exact": _rounded(n(self.exact) / n(self.spans) if n(self.spans) else None),
            "whole": _rounded(n(self.whole) / n(self.spans) if n(self.spans) else None),
        }


def _f_beta(precision: float | None, recall: float | None, beta: float = BETA) -> float | None:
    """van Rijsbergen 1979; nothing where there were neither spans nor findings."""
    if precision is None and recall is None:
        return None
    p, r = precision or 0.0, recall or 0.0
    return (1 + beta**2) * p * r / (beta**2 * p + r) if p + r else 0.0


def _is_covered(text: str, start: int, end: int, findings: Sequence[tuple[str, int, int]]) -> bool:
    signs = [at for at in range(start, end) if text[at].isalnum()]
    return bool(signs) and all(any(s <= at < e for _, s, e in findings) for at in signs)


def _core(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return start, end


def _marked(row: Mapping[str, Any], number: int, path: Path) -> Marked:
    text, spans = row.get("full_text", row.get("text")), row.get("spans")
    try:
        if not isinstance(text, str):
            raise TypeError(f"full_text is {text!r}")
        found = tuple(
            (
                str(s["entity_type"]),
                int(s.get("start_position", s.get("start"))),
                int(s.get("end_position", s.get("end"))),
            )
            for s in spans
        )
        if wrong := next((s for s in found if not 0 <= s[1] < s[2] <= len(text)), None):
            raise ValueError(f"{wrong} lies outside of its text of {len(text)} characters")
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InvalidInput(
            f"{path}, row {number} does not fit: {error}.",
            field="data",
            next_step="A row has full_text and spans, each with entity_type, start_position and end_position.",
        ) from error
    return Marked(text, found)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
