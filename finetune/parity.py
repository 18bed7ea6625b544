"""Whether the adapter answers alike in every form it is served in: with the base, merged, on a server. Knows no model library.

A form is anything that renders prompts, scores tokens and goes on from them (`parity_report.Remote`). The first is the reference.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from finetune.parity_report import Message, Mismatch, ParityReport, Remote


@dataclass(frozen=True)
class Case:
    """A held-out conversation. `trained_ids` are its tokens as training saw them, the answer included."""

    where: str
    prompt: tuple[Message, ...]
    trained_ids: tuple[int, ...]


@dataclass(frozen=True)
class Expected:
    """`stop_id` is the token that training taught to stop with; `honoured` those at which the base's settings stop."""

    stop_id: int
    honoured: tuple[int, ...]
    tolerance: float
    max_new_tokens: int


@dataclass(frozen=True)
class Ending:
    """How one form went on from a prompt."""

    name: str
    ids: Sequence[int]
    reason: str


def compare(
    forms: Sequence[Remote], cases: Sequence[Case], expected: Expected, skipped: Sequence[str] = ()
) -> ParityReport:
    """Compare every form with what was trained and with the first form. A form with a wrong template is not asked further."""
    found = list(_wrong_stop(expected))
    largest, n_tokens = 0.0, 0
    for case in cases:
        reference = forms[0].logprobs(case.trained_ids)
        ended: Ending | None = None
        for form in forms:
            wrong = _wrong_template(form, case)
            found += wrong
            if wrong:
                continue
            if form is not forms[0]:
                difference, where = _largest_difference(reference, form.logprobs(case.trained_ids))
                largest, n_tokens = max(largest, difference), n_tokens + len(reference)
                if difference > expected.tolerance:
                    found.append(_wrong_logprob(forms[0], form, case, difference, where, expected.tolerance))
            ids, reason = form.generate(case.trained_ids[: _prompt_length(form, case)], expected.max_new_tokens)
            ended = ended or Ending(form.name, ids, reason)
            found += _wrong_end(case, Ending(form.name, ids, reason), ended, expected)
    return ParityReport(
        compared=tuple(form.name for form in forms),
        n_prompts=len(cases),
        n_tokens=n_tokens,
        largest_difference=largest,
        tolerance=expected.tolerance,
        mismatches=tuple(dict.fromkeys(found)),
        skipped=tuple(skipped),
    )


def _wrong_stop(expected: Expected) -> Iterator[Mismatch]:
    if expected.stop_id not in expected.honoured:
        yield Mismatch(
            "stop_token",
            ("training", "generation settings"),
            "generation_config.json",
            f"training ends turns with token {expected.stop_id}; the base stops at {list(expected.honoured)}, so answers never end",
            f"Add {expected.stop_id} to eos_token_id in the base's generation_config.json, or mend the chat template.",
        )


def _wrong_template(form: Remote, case: Case) -> list[Mismatch]:
    served, trained = form.token_ids(case.prompt), list(case.trained_ids)
    at = next((i for i, (a, b) in enumerate(zip(served, trained, strict=False)) if a != b), None)
    if at is None and len(served) <= len(trained):
        return []
    at = len(trained) if at is None else at
    return [
        Mismatch(
            "template",
            ("training", form.name),
            f"{case.where}, token {at}",
            f"training saw {trained[at : at + 5]}, {form.name} is shown {served[at : at + 5]}",
            "Serve with the chat template that was trained with: base.chat_template, or --chat-template of vLLM.",
        )
    ]


def _prompt_length(form: Remote, case: Case) -> int:
    return len(form.token_ids(case.prompt))


def _largest_difference(a: Sequence[float], b: Sequence[float]) -> tuple[float, int]:
    if len(a) != len(b):
        return float("inf"), min(len(a), len(b))
    apart = [abs(x - y) for x, y in zip(a, b, strict=True)]
    broken = next((i for i, value in enumerate(apart) if math.isnan(value)), None)
    if broken is not None:
        return float("inf"), broken
    return max(((value, i) for i, value in enumerate(apart)), default=(0.0, 0))


def _wrong_logprob(
    first: Remote, form: Remote, case: Case, difference: float, where: int, tolerance: float
) -> Mismatch:
    return Mismatch(
        "logprobs",
        (first.name, form.name),
        f"{case.where}, token {where + 1}",
        f"log-probabilities differ by {difference:.4g} nats; allowed are {tolerance:g}",
        "Check that both load the same base (digest in the manifest), unquantised and in one precision.",
    )


def _wrong_end(case: Case, end: Ending, first: Ending, expected: Expected) -> Iterator[Mismatch]:
    if expected.stop_id in end.ids[:-1]:
        yield Mismatch(
            "stop_token",
            ("training", end.name),
            f"{case.where}, generated token {list(end.ids).index(expected.stop_id)}",
            f"{end.name} writes on after the stop token {expected.stop_id}",
            "Let the server stop at it: eos_token_id in generation_config.json, or stop_token_ids of the request.",
        )
    n_common = min(len(end.ids), len(first.ids))
    if end.reason != first.reason and list(end.ids[:n_common]) == list(first.ids[:n_common]):
        yield Mismatch(
            "stop_token",
            (first.name, end.name),
            case.where,
            f"{first.name} ends by {first.reason} after {len(first.ids)} tokens, {end.name} by {end.reason} after {len(end.ids)}",
            "Compare the stop tokens of the two.",
        )
