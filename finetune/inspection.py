"""Looks at prepared rows before a step is trained: what is lost, repeated, leaked, personal. Pure; knows no model library."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence

from data.redaction import personal_data
from finetune.examples import IGNORED, Dropped, Example, Prepared
from finetune.findings import Finding, Histogram, Piece, PreflightReport
from finetune.overlap import Match, matches, repeats
from finetune.recipe_parts import Preflight
from finetune.suites import SuiteItem

SHOWN = 5
"""Places that a finding lists."""
EDGES = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


def inspect(prepared: Prepared, limits: Preflight, suites: Sequence[SuiteItem] = ()) -> PreflightReport:
    """Every finding at once, the blocking ones first."""
    train, held_out = prepared.train, prepared.eval
    found = [
        *_emptiness(prepared),
        *(Finding(n.code, n.message, n.mend, n.is_blocking) for n in prepared.notices),
        *_dropped(prepared, limits),
        *_truncated(prepared, limits),
        *_repeated(train, limits),
        *_leaks(train, held_out, limits),
        *_contamination(train, suites, limits),
        *_personal((*train, *held_out)),
    ]
    found = [dataclasses.replace(f, is_allowed=f.is_blocking and f.code in limits.allow) for f in found]
    return PreflightReport(
        n_train=len(train),
        n_eval=len(held_out),
        n_dropped=len(prepared.dropped),
        n_suite_items=len(suites),
        n_trainable_tokens=sum(example.n_trainable for example in train),
        n_tokens=sum(len(example.input_ids) for example in train),
        lengths=_lengths(train),
        sample=_sample(prepared),
        findings=tuple(sorted(found, key=lambda f: (not f.is_blocking, f.is_allowed))),
    )


def _emptiness(prepared: Prepared) -> Iterator[Finding]:
    if not prepared.train:
        yield Finding("no_training_rows", "No training row is left.", "Mend the rows listed as dropped.", True)
    if not prepared.eval:
        yield Finding(
            "no_held_out_rows",
            "No row is held out, so nothing tells whether the adapter learned or memorised.",
            "Name files in data.eval, or raise data.eval_share.",
            True,
        )


def _dropped(prepared: Prepared, limits: Preflight) -> Iterator[Finding]:
    n_all = len(prepared.dropped) + len(prepared.train) + len(prepared.eval)
    for reason, n in Counter(d.reason for d in prepared.dropped).most_common():
        rows = [d for d in prepared.dropped if d.reason == reason]
        yield Finding(
            reason,
            f"{n} of {n_all} rows cannot be used: {rows[0].detail or reason}.",
            _mend_dropped(reason, prepared),
            # a row that teaches nothing is a defect of the data or the template, however few there are
            reason == "no_trainable_token" or n > limits.max_dropped_share * n_all,
            n,
            _places(rows),
        )


def _mend_dropped(reason: str, prepared: Prepared) -> str:
    if reason == "no_trainable_token":
        return (
            f"Raise train.max_length (it is {prepared.max_length}) or shorten the prompts; where the template marks nothing, "
            "mend its {% generation %} markers; or remove the rows."
        )
    return "Mend or remove the rows, or accept them: preflight.max_dropped_share."


def _truncated(prepared: Prepared, limits: Preflight) -> Iterator[Finding]:
    if prepared.max_length is None:
        return
    cut = [e for e in prepared.train if e.n_tokens_uncut > prepared.max_length]
    if not cut:
        return
    longest = max(e.n_tokens_uncut for e in cut)
    yield Finding(
        "truncated",
        f"{len(cut)} of {len(prepared.train)} training rows are cut at {prepared.max_length} tokens; the longest has {longest}. "
        "A cut row teaches the model not to stop.",
        f"Set train.max_length={longest}, or shorten the rows, or accept them: preflight.max_truncated_share.",
        len(cut) > limits.max_truncated_share * len(prepared.train),
        len(cut),
        tuple(f"{e.where}: {e.n_tokens_uncut} tokens" for e in cut[:SHOWN]),
    )


def _repeated(train: Sequence[Example], limits: Preflight) -> Iterator[Finding]:
    again = repeats([e.text for e in train])
    if again:
        yield Finding(
            "duplicates",
            f"{len(again)} of {len(train)} training rows repeat an earlier one.",
            "Remove the repetitions, or accept them: preflight.max_duplicate_share.",
            len(again) > limits.max_duplicate_share * len(train),
            len(again),
            tuple(f"{train[i].where} repeats {train[j].where}" for i, j in again[:SHOWN]),
        )


def _leaks(train: Sequence[Example], held_out: Sequence[Example], limits: Preflight) -> Iterator[Finding]:
    found = matches([e.key for e in train], [_told(e) for e in train], [e.key for e in held_out], limits.near_duplicate)
    whole = matches(
        [_told(e) for e in train], [_told(e) for e in train], [_told(e) for e in held_out], limits.near_duplicate
    )
    known = {match.b for match in found}
    found += [match for match in whole if match.b not in known]
    yield from _matched("leak", "held-out rows", found, train, [e.where for e in held_out])


def _contamination(train: Sequence[Example], suites: Sequence[SuiteItem], limits: Preflight) -> Iterator[Finding]:
    asked = [item.text for item in suites]
    found = matches([e.key for e in train], [_told(e) for e in train], asked, limits.near_duplicate)
    yield from _matched(
        "contamination", "questions of evaluation suites", found, train, [item.where for item in suites]
    )


def _matched(
    code: str, what: str, found: Sequence[Match], train: Sequence[Example], places: Sequence[str]
) -> Iterator[Finding]:
    if not found:
        return
    n_exact = sum(match.is_exact for match in found)
    rows = " ".join(sorted({train[match.a].where for match in found})[:SHOWN])
    yield Finding(
        code,
        f"{len(found)} {what} are trained on: {n_exact} word for word, {len(found) - n_exact} nearly.",
        f"Remove these training rows: {rows}{' ...' if len(found) > SHOWN else ''}",
        True,
        len(found),
        tuple(f"{train[m.a].where} ~ {places[m.b]}: {m.share:.0%} of its 5-grams" for m in found[:SHOWN]),
    )


def _personal(examples: Sequence[Example]) -> Iterator[Finding]:
    kinds: Counter[str] = Counter()
    places = []
    for example in examples:
        for found in personal_data(example.text):
            kinds[found.kind] += 1
            places.append(f"{example.where}: {found.kind} at {found.start}")  # never the data itself
    if places:
        named = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
        yield Finding(
            "personal_data",
            f"Personal data in the rows: {named}. What is trained on can be said to anyone.",
            "Redact the rows (data.redaction.redacted), or accept them after looking: preflight.allow=[personal_data].",
            True,
            len(places),
            tuple(places[:SHOWN]),
        )


def _lengths(examples: Sequence[Example]) -> Histogram | None:
    lengths = [e.n_tokens_uncut for e in examples if e.input_ids]
    if not lengths:
        return None
    edges = [edge for edge in EDGES if edge < max(lengths)] + [max(lengths)]
    below = [sum(length <= edge for length in lengths) for edge in edges]
    counts = [n - before for n, before in zip(below, [0, *below], strict=False)]
    return Histogram(tuple(edges), tuple(counts), max(lengths), sum(lengths) / len(lengths))


def _sample(prepared: Prepared) -> tuple[Piece, ...]:
    """The first row as the model is shown it, in stretches that are learned or not."""
    if not prepared.train or prepared.decode is None or not prepared.train[0].labels:
        return ()
    first = prepared.train[0]
    stretches: list[tuple[bool, list[int]]] = []
    for token, label in zip(first.input_ids, first.labels, strict=True):
        is_learned = label != IGNORED
        if not stretches or stretches[-1][0] != is_learned:
            stretches.append((is_learned, []))
        stretches[-1][1].append(token)
    return tuple(Piece(prepared.decode(ids), is_learned) for is_learned, ids in stretches)


def _told(example: Example) -> str:
    return f"{example.key}\n{example.answer}"


def _places(rows: Sequence[Dropped]) -> tuple[str, ...]:
    return tuple(f"{row.where}: {row.detail}" for row in rows[:SHOWN])
