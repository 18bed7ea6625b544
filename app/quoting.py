"""Sentences that are quotes: what the extractive answer consists of. Knows no model and no graph."""

import re
from collections.abc import Sequence

from app.grounding import TextOf, cite, is_true
from data.records import Sentence, Support
from serving.local.reader import Draft

_NUMBERS = r"\^?\d{1,3}(?:\s*[,;–-]\s*\^?\d{1,3})*"
_MARK = rf"(?:(?<!\w)\[{_NUMBERS}\](?:\([^()]*\))?|【{_NUMBERS}[^】]*】|\((?:sources?|quellen?)\s+{_NUMBERS}\))"
MARKS = re.compile(rf"{_MARK}(?:\s*[,;]?\s*{_MARK})*", re.I)
"""`[1]` after a blank or a mark, not `row[1]`; `【1†source】`; `(source 1)`; several with commas between."""
_NAMED = r"(?:[^\s:;,!?]*[^\s:;,.!?]\s+){0,5}[^\s:;,!?]*[^\s:;,.!?]:\s+(?=\S)"
BORROWED = re.compile(
    rf"(?:as\s+(?:\w+\s+){{1,2}}(?:in|by|under)|according\s+to|as\s+per|laut|sources?:|quellen?:)\s+{_NAMED}", re.I
)
"""`As stated in the travel rules: `, `Source: rules.pdf: `: six words at most, no comma among them; not `According to the maker, `, which
may be an honest doubt."""
LINK = re.compile(r"(?<!\w)!?\[([^\[\]]*)\]\([^()]*\)")
STRAY_BLANK = re.compile(r"\s+(?=[.,;:!?](?:\s|$))")


def quotes(draft: Draft, text_of: TextOf) -> list[Sentence]:
    """The extracts as sentences. Each is its own proof, and is checked against the stored text all the same."""
    out = []
    for extract in draft.extracts:
        citation = cite(extract.hit, extract.start, extract.end, support=1.0)
        if is_true(citation, text_of):
            out.append(Sentence(text=_plain(extract.text), citations=(citation,), support=Support.SUPPORTED))
    return out


def is_told(quoted: Sentence, said: Sequence[Sentence]) -> bool:
    """Whether a sentence already cites what is quoted."""
    known = [citation for sentence in said for citation in sentence.citations]
    return any(
        k.document_id == c.document_id and k.start < c.end and c.start < k.end for k in known for c in quoted.citations
    )


def _plain(text: str) -> str:
    """A quoted sentence or table row as running text, without the source's own citation marks: they would pass for ours.

    Links keep their words alone, and what claims to stand in another document loses that claim: the citation names the one it stands
    in. The citation's quote stays what the document says.
    """
    cells = [cell.strip() for cell in text.strip().strip("|").split("|")]
    joined = ", ".join(cell for cell in cells if cell) if text.lstrip().startswith("|") else text
    unmarked = " ".join(MARKS.sub("", LINK.sub(r"\1", joined)).split())
    claim = BORROWED.match(unmarked)
    return STRAY_BLANK.sub("", unmarked[claim.end() :] if claim else unmarked) or " ".join(joined.split())
