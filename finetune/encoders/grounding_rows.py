"""Rows of grounding: a premise, a hypothesis, `supported` or `unsupported`. Pure functions over published data sets.

Refuted and unknown are both unsupported. A group is the document (or page) that the premise is from.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from finetune.encoder_recipes import EncoderSource
from finetune.encoders.built_rows import BuiltRow, Files, Format, only, text_in, usable
from finetune.encoders.sentence_corpus import plain
from finetune.examples import Dropped
from finetune.rows import Row, UnusableRow

SUPPORTED, UNSUPPORTED = "supported", "unsupported"
N_DISTRACTORS = 2
"""Retrieved sentences per true claim of Fool Me Twice that stand as unsupporting premises."""
NAMED = {
    SUPPORTED: SUPPORTED,
    "supports": SUPPORTED,
    "entailment": SUPPORTED,
    "fully attributable": SUPPORTED,
    "1": SUPPORTED,
    UNSUPPORTED: UNSUPPORTED,
    "refutes": UNSUPPORTED,
    "not_enough_info": UNSUPPORTED,
    "disputed": UNSUPPORTED,
    "not_entailment": UNSUPPORTED,
    "neutral": UNSUPPORTED,
    "contradiction": UNSUPPORTED,
    "not fully attributable": UNSUPPORTED,
    "generic": UNSUPPORTED,
    "0": UNSUPPORTED,
}


def pair(row: Row, premise: str, hypothesis: str, label: Any, group: str) -> BuiltRow:
    """One pair; labels of all the data sets come to two. Raises: UnusableRow."""
    named = NAMED.get(str(label).casefold())
    if named is None:
        raise UnusableRow("unknown_label", f"label {label!r} is none of {', '.join(NAMED)}")
    fields = {"premise": premise, "hypothesis": hypothesis, "label": named}
    return BuiltRow(row.where, fields, f"{hypothesis}\n{premise}", (group,))


def own_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Rows with `premise`, `hypothesis`, `label`; `group` names the document, else the premise is one."""

    def build(row: Row) -> BuiltRow:
        premise, hypothesis = text_in(row, "premise"), text_in(row, "hypothesis")
        return pair(row, premise, hypothesis, row.fields.get("label"), f"given:{row.fields.get('group') or premise}")

    yield from usable(only(files), build)


def summedits_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Edited summaries of documents."""

    def build(row: Row) -> BuiltRow:
        document = text_in(row, "doc")
        return pair(row, document, text_in(row, "summary"), row.fields.get("label"), f"summedits:{document}")

    yield from usable(only(files), build)


def begin_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Replies of dialogue systems to what they were given to know."""

    def build(row: Row) -> BuiltRow:
        knowledge, reply = plain(text_in(row, "knowledge")), plain(text_in(row, "response"))
        return pair(row, knowledge, reply, row.fields.get("begin_label"), f"begin:{knowledge}")

    yield from usable(only(files), build)


def climate_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Claims about the climate with sentences of Wikipedia; the claim is the group."""

    def build(row: Row) -> BuiltRow:
        premise, claim = text_in(row, "premise"), text_in(row, "hypothesis")
        return pair(row, premise, claim, row.fields.get("label"), f"climate:{row.fields.get('claim_id') or claim}")

    yield from usable(only(files), build)


def fool_me_twice_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Claims with the sentences that decide them, and with retrieved ones that do not. The page is the group."""
    for row in only(files):
        page = f"page:{row.fields.get('wikipedia_page') or row.fields.get('text')}"
        gold = [str(part["text"]) for part in row.fields.get("gold_evidence", ())]
        if not gold:
            yield Dropped(row.where, "no_evidence", "`gold_evidence` is empty")
            continue
        claim = str(row.fields["text"])
        yield pair(row, " ".join(gold), claim, row.fields["label"], page)
        if row.fields["label"] == "SUPPORTS":
            wrong = [str(part["text"]) for part in row.fields.get("retrieved_evidence", ())]
            wrong = [text for text in wrong if not any(text in g or g in text for g in gold)]
            for premise in wrong[:N_DISTRACTORS]:
                yield pair(row, premise, claim, UNSUPPORTED, page)


def nli_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """RTE and SICK: no documents are named, so the premise is the group."""

    def build(row: Row) -> BuiltRow:
        premise, hypothesis = text_in(row, "premise"), text_in(row, "hypothesis")
        return pair(row, premise, hypothesis, row.fields.get("label"), f"premise:{premise}")

    yield from usable(only(files), build)


FORMATS: Mapping[str, Format] = {
    "rows": Format(own_rows),
    "summedits": Format(summedits_rows),
    "begin": Format(begin_rows),
    "climate_fever": Format(climate_rows),
    "fool_me_twice": Format(fool_me_twice_rows),
    "rte": Format(nli_rows),
    "sick": Format(nli_rows),
}
