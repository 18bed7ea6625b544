"""assay data check claims: contract and quality of a table, a stored result and a page.

Exit codes: 0 good or warnings, 1 a critical finding, 2 wrong use.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json

if TYPE_CHECKING:
    import pandas as pd

    from data.tabular.quality import Finding, QualityReport
    from data.tabular.table_spec import TableSpec


def check(
    table: Annotated[str, typer.Argument(help="A shipped table's name (assay data list) or the path of a spec.")],
    quick: Annotated[bool, typer.Option("--quick", help="The contract alone, without Great Expectations.")] = False,
    rows: Annotated[int, typer.Option(min=0, help="Only the first so many rows; 0 for all.")] = 0,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Keep result and page under var/quality.")] = True,
    as_json: AsJson = False,
) -> None:
    """Check every cell against the contract, then completeness, freshness, distribution and volume."""
    from app.settings import load_settings

    settings = load_settings()
    report = checked_report(table, quick=quick, n_rows=rows or None)
    page = report.save(settings.var / "quality")[1] if save else None
    if as_json:
        print_json(report.as_dict() | {"page": str(page) if page else None})
    else:
        _print(report, page)
    if report.critical:
        raise typer.Exit(1)


def checked_report(table: str, *, quick: bool = False, n_rows: int | None = None) -> "QualityReport":
    """Read, settle, check; the suite runs only over a table that keeps its contract, for it needs the promised dtypes."""
    from data.errors import MissingExtra
    from data.tabular.table_spec import load_spec

    try:
        from data.tabular.contract import faults_of
    except ImportError as error:
        raise MissingExtra(error.name or "pandera", extra="tabular") from error
    from data.tabular.quality import QualityReport, contract_findings
    from data.tabular.table import read_table, settle

    spec = load_spec(table)
    raw = read_table(spec, n_rows=n_rows)
    faults = faults_of(raw, spec)
    findings = contract_findings(faults)
    frame, _ = settle(raw, spec)
    engine = "pandera"
    if not quick and not faults:
        suite, engine = _suite(frame, spec)
        findings += suite
    return QualityReport.of(spec, frame, findings, engine)


def _suite(frame: "pd.DataFrame", spec: "TableSpec") -> "tuple[list[Finding], str]":
    from data.errors import MissingExtra

    try:
        from data.tabular.quality_suite import ENGINE, suite_findings
    except ImportError as error:
        raise MissingExtra(error.name or "great-expectations", extra="tabular") from error
    return suite_findings(frame, spec), f"pandera and {ENGINE}"


def _print(report: "QualityReport", page: Path | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from data.tabular.quality import shown_rows

    console = Console(highlight=False, soft_wrap=True)
    kept = sum(one.is_good for one in report.findings)
    console.print(
        f"{report.table}: {report.verdict}, {report.n_rows} rows, {report.n_columns} columns; {len(report.critical)} critical, "
        f"{len(report.warnings)} warnings, {kept} rules kept"
    )
    broken = [*report.critical, *report.warnings]
    if broken:
        shown: Any = Table("", "rule", "column", "seen", "expected", "rows at fault, from 0")
        for one in broken:
            cells = [one.severity, one.rule, one.column, one.observed, one.expected, shown_rows(one.rows)]
            shown.add_row(*map(escape, cells))
        console.print(shown)
    if page:
        console.print(f"Page: {page}")
