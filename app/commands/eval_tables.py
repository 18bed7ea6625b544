"""Runs of suites as tables on a terminal. Knows the facts that `eval_run` gathers, and nothing of where they come from."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

LONGEST_CELL = 160


def print_run(facts: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{facts['suite']}: {escape(facts['target'])}, run {facts['run']}, {facts['status']}")
    _print_numbers(console, facts)
    console.print(_spent(facts, facts.get("cost")))
    console.print(f"Worst cases: assay eval show {facts['run']}")


def print_list(facts: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    suites = Table("suite", "target", "what it asks")
    for one in facts["suites"]:
        suites.add_row(one["name"], one["target"], escape(one["description"]))
    console.print(suites)
    if not facts["runs"]:
        console.print("No runs yet. Start one with: assay eval run handbook")
        return
    runs = Table("run", "suite", "target", "status", "when", "rows", "failed", "cached", "s")
    for one in facts["runs"]:
        counts = [str(one.get(name, "-")) for name in ("n_rows", "n_failed", "n_cached", "seconds")]
        runs.add_row(one["run"], one["suite"], escape(one["target"]), one["status"], one["created_at"][:19], *counts)
    console.print(runs)


def print_show(facts: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    run = facts["run"]
    console.print(
        f"{run['suite']}: {escape(run['target'])}, run {run['id']}, {run['status']}, {run['created_at'][:19]}"
    )
    _print_numbers(console, facts)
    if facts["spent"]:
        console.print(_spent(facts["spent"]))
    title = f"Worst by {facts['ranked_by']}" if facts["ranked_by"] else "Rows"
    cases = Table("sample", "question", "answer", "scores", title=title, title_justify="left")
    for row in facts["rows"]:
        scores = [f"{s['scorer']} {_score(s)}" for s in row["scores"]]
        cases.add_row(row["sample_id"], _cell(row["question"]), _cell(_answer(row)), escape("\n".join(scores)))
    if facts["rows"]:
        console.print(cases)


def _print_numbers(console: Console, facts: dict[str, Any]) -> None:
    table = Table("metric", "mean", "95 %", "n", "clusters", "errors")
    for name, m in facts["metrics"].items():
        if not m["n"] and not m["n_errors"]:
            continue  # applies to none of the samples
        unit = f" {m['unit']}" if m["unit"] else ""
        better = "" if m["higher_is_better"] else " (less is better)"
        between = f"{m['low']:.3f} .. {m['high']:.3f}" if m["low"] is not None else "-"
        mean = f"{m['mean']:.3f}{unit}" if m["mean"] is not None else "-"
        errors = f"[red]{m['n_errors']}[/]" if m["n_errors"] else "0"
        table.add_row(name + better, mean, between, str(m["n"]), str(m["n_clusters"]), errors)
    console.print(table)
    if answers := facts["selective"]:
        _print_selective(console, answers)
    for error, n in facts["errors"].items():
        console.print(f"[red]error[/] {n} times: {escape(error)}")


def _print_selective(console: Console, s: dict[str, Any]) -> None:
    console.print(
        f"Risk and coverage ({s['correct_by']} of 0.5 or more is right): {s['coverage']:.2f} answered at risk {s['risk']:.3f}, "
        f"AURC {s['aurc']:.3f}."
    )
    if s["threshold"] is None:
        console.print(
            f"No threshold holds a risk of {s['wanted_risk']:g} with 95 % confidence: too few answers, or too wrong."
        )
    else:
        console.print(
            f"Answering from confidence {s['threshold']:.3f} on covers {s['threshold_coverage']:.2f} "
            f"and holds a risk of {s['threshold_bound']:.3f} with 95 % confidence."
        )


def _spent(spent: dict[str, Any], cost: float | None = None) -> str:
    tokens = f"{spent['prompt_tokens']} + {spent['completion_tokens']} tokens"
    price = f", cost {cost:g}" if cost is not None else ""
    resumed = f", {spent['n_resumed']} from before the interruption" if spent.get("n_resumed") else ""
    return (
        f"{spent['n_rows']} rows in {spent['seconds']:.1f} s, {spent['n_cached']} from the cache{resumed}, "
        f"{spent['n_failed']} failed; {tokens}{price}."
    )


def _answer(row: dict[str, Any]) -> str:
    seen = row["observation"]
    if seen["error"]:
        return f"error: {seen['error']}"
    return seen["answer"]["text"] if seen["answer"] else f"{len(seen['hits'])} hits"


def _score(score: dict[str, Any]) -> str:
    return f"{score['value']:.3f}" if score["value"] is not None else f"error: {score['error'][:60]}"


def _cell(text: str) -> str:
    return escape(text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…")
