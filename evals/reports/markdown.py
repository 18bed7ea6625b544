"""A report for a pull request: the verdict, the table of differences, the worst cases, what it cost."""

from collections.abc import Iterable, Sequence

from data.records import Outcome
from evals.conclusion import Conclusion
from evals.gate_report import CaseLoss, GateReading, GateReport, PowerReading

MARKS = {Outcome.PASS: "pass", Outcome.FAIL: "**FAIL**", Outcome.INCONCLUSIVE: "inconclusive"}
MEANING = {
    Conclusion.PASS: "The candidate is proven to be within every margin and on the right side of every floor.",
    Conclusion.FAIL: "The candidate is worse than the baseline by more than chance explains, or beyond a floor.",
    Conclusion.INCONCLUSIVE: "The samples do not tell: neither a regression nor its absence is proven.",
    Conclusion.INFRASTRUCTURE: "Too many cases ended in an error. Errors are no scores, so nothing was judged.",
}


def to_markdown(report: GateReport) -> str:
    parts = [
        f"## {report.headline}",
        MEANING[report.conclusion],
        _asked(report),
        _differences(report),
        *_whys(report),
        *_section("Worst cases", [_case(case) for case in report.worst]),
        *_section("Errors", [f"- {_plain(told)}" for told in report.errors]),
        _variance(report),
        *_section("Before it began", [f"- {told_power(power)}" for power in report.power]),
        _cost(report),
        *(f"Note: {_plain(note)}" for note in report.notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def told_power(power: PowerReading) -> str:
    """One sentence of what could be found before anything was spent."""
    found = (
        f"a loss of {power.detectable:.3g} is caught with probability {power.power:.0%}"
        if power.detectable is not None
        else f"no loss is caught with probability {power.power:.0%}"
    )
    margin = (
        f"; one as large as the margin {power.margin:g} with {power.chance_to_catch_margin:.0%}; "
        f"an unchanged candidate passes with {power.chance_to_pass:.0%}"
        if power.margin is not None
        else ""
    )
    return (
        f"{power.metric}: {power.n_samples} samples in {power.n_clusters} clusters; {found}{margin} ({power.assumes})"
    )


def _asked(report: GateReport) -> str:
    early = ", stopped when the verdict was settled" if report.is_stopped_early else ""
    errors = f", {report.n_errors} with an error" if report.n_errors else ""
    return (
        f"{report.n_asked} of {report.n_samples} samples{early}{errors}. "
        f"Baseline: `{report.baseline.ref}`. Candidate: `{report.candidate.ref}`."
    )


def _differences(report: GateReport) -> str:
    head = ("metric", "baseline", "candidate", "difference", "95 % interval", "margin", "limit", "pairs", "verdict")
    return _table(head, [_row(gate) for gate in report.gates])


def _row(gate: GateReading) -> Sequence[str]:
    better = "" if gate.higher_is_better else " (less is better)"
    interval = "-"
    if gate.low is not None and gate.high is not None:
        interval = "no case differs" if gate.low == gate.high == 0 else f"{gate.low:+.3f} to {gate.high:+.3f}"
    return (
        f"{gate.metric}{better}",
        _number(gate.baseline),
        _number(gate.candidate),
        _number(gate.difference, "+.3f"),
        interval,
        "-" if gate.margin is None else f"{gate.margin:g}",
        "-" if gate.limit is None else f"{gate.limit:g}",
        f"{gate.n_pairs} in {gate.n_clusters}",
        MARKS[gate.outcome],
    )


def _whys(report: GateReport) -> list[str]:
    lines = [f"- {gate.metric}: {gate.why}{_corrected(gate)}" for gate in report.gates]
    early = (
        ["", "It was stopped early, which the verdicts allow for and the intervals in the table do not."]
        if report.is_stopped_early
        else []
    )
    return ["\n".join([*lines, *early])]


def _corrected(gate: GateReading) -> str:
    c = gate.corrected
    if c is None:
        return ""
    return f". Corrected by {c.n_labels} labels: {c.difference:+.3f} ({c.low:+.3f} to {c.high:+.3f}), judge weight {c.weight:.2f}"


def _case(case: CaseLoss) -> str:
    scores = ", ".join(
        f"{name} {_number(before)} → {_number(after)}"
        for name, (before, after) in case.scores.items()
        if before != after
    )
    return "\n".join(
        [
            f"**{_plain(case.sample_id)}** {_plain(case.question)}",
            f"- {scores}",
            f"- before: {_plain(case.before)}",
            f"- after: {_plain(case.after)}",
        ]
    )


def _variance(report: GateReport) -> str:
    if not report.variance:
        return ""
    head = ("variance of", "samples", "retriever", "generator", "judge")
    rows = [
        (v.metric, *(_number(part, ".5f") for part in (v.samples, v.retriever, v.generator, v.judge)))
        for v in report.variance
    ]
    return "### Where repeats differ\n\n" + _table(head, rows)


def _cost(report: GateReport) -> str:
    arms = (("baseline", report.baseline), ("candidate", report.candidate))
    told = "; ".join(
        f"{name} {arm.n_rows} rows ({arm.n_cached} from the cache), {arm.prompt_tokens} + {arm.completion_tokens} tokens"
        for name, arm in arms
    )
    return f"Cost: {told}; {report.seconds:.1f} s. alpha {report.alpha:g}."


def _section(title: str, lines: Iterable[str]) -> list[str]:
    lines = list(lines)
    return (
        [f"### {title}", ("\n" if all(line.startswith("- ") for line in lines) else "\n\n").join(lines)]
        if lines
        else []
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(_plain(cell) if cell not in MARKS.values() else cell for cell in line) + " |"
        for line in lines
    )


def _number(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)


def _plain(text: str) -> str:
    """Text of answers and documents, so that it is shown and never rendered: no table cells, links, pictures, HTML, mentions."""
    out = " ".join(text.split())
    for sign in "\\`*_[]<>|#!@~":
        out = out.replace(sign, "\\" + sign)
    return out
