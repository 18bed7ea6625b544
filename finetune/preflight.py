"""python -m finetune.preflight RECIPE.yaml [key=value ...] [--json]: looks at the data and trains nothing.

Exit codes: 0 nothing blocks, 2 something does. `finetune.train` looks the same way before its first step.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from data.errors import AssayError, UsageError
from finetune.examples import Prepared
from finetune.findings import Finding, Histogram, PreflightReport
from finetune.inspection import inspect
from finetune.kinds import kind_of
from finetune.recipe import AnyRecipe, load_recipe
from finetune.suites import suite_items

BAR = 40
LEARNED, SHOWN_ONLY = "bold green", "dim"


def look(recipe: AnyRecipe, prepared: Prepared) -> PreflightReport:
    """Inspect prepared rows against the recipe's limits and every suite in the checkout."""
    return inspect(prepared, recipe.preflight, suite_items(recipe.preflight.suites))


def shown(report: PreflightReport) -> Group:
    """The report for a terminal."""
    parts: list = [Text(_summary(report))]
    if report.lengths:
        parts.append(_bars(report.lengths))
    if report.sample:
        pieces = ((piece.text, LEARNED if piece.is_learned else SHOWN_ONLY) for piece in report.sample)
        parts += [
            Text.assemble("First row, ", ("learned", LEARNED), " and ", ("only shown", SHOWN_ONLY), ":"),
            Text.assemble(*pieces),
        ]
    parts += [_finding(finding) for finding in report.findings]
    verdict = f"[red]{len(report.blocking)} findings block.[/]" if report.blocking else "[green]Nothing blocks.[/]"
    parts.append(Text.from_markup(verdict))
    return Group(*parts)


def _summary(report: PreflightReport) -> str:
    share = f" ({report.n_trainable_tokens / report.n_tokens:.0%})" if report.n_tokens else ""
    return (
        f"{report.n_train} training rows, {report.n_eval} held out, {report.n_dropped} dropped; "
        f"{report.n_tokens} tokens, {report.n_trainable_tokens} learned{share}; "
        f"compared with {report.n_suite_items} evaluation questions"
    )


def _bars(lengths: Histogram) -> Table:
    table = Table(
        title=f"Tokens per row (mean {lengths.mean:.0f}, longest {lengths.longest})", box=None, title_justify="left"
    )
    table.add_column("up to", justify="right")
    table.add_column("rows", justify="right")
    table.add_column("")
    most = max(lengths.counts) or 1
    for edge, n in zip(lengths.edges, lengths.counts, strict=True):
        table.add_row(str(edge), str(n), "█" * round(BAR * n / most))
    return table


def _finding(finding: Finding) -> Text:
    label = "accepted" if finding.is_allowed else "BLOCKS" if finding.is_blocking else "note"
    style = {"BLOCKS": "bold red", "accepted": "yellow", "note": "cyan"}[label]
    lines = [f"[{style}]{label}[/] [bold]{escape(finding.code)}[/]: {escape(finding.message)}"]
    lines += [f"    {escape(place)}" for place in finding.examples]
    return Text.from_markup("\n".join([*lines, f"  → {escape(finding.mend)}"]))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="finetune.preflight", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = parser.parse_args(argv)
    try:
        recipe = load_recipe(given.recipe, given.overrides)
        report = look(recipe, kind_of(recipe).prepare(recipe))
    except AssayError as error:
        print(f"finetune: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 4
    if given.json:
        print(json.dumps(report.as_json(), ensure_ascii=False, indent=2))
    else:
        Console().print(shown(report))
    return 0 if report.is_passed else 2


if __name__ == "__main__":
    sys.exit(main())
