"""How good a table is today: findings of contract and suite, a stored result, a page for people. Light: Great Expectations lives in `quality_suite`.

report = QualityReport.of(spec, frame, findings)
report.save(folder)                        # folder/claims/2026-11-25T10-00-00Z.json and .html, and latest.* beside them
stop_if_critical(report)                   # raises QualityStopped with the rows at fault
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jinja2 import Environment

from data.errors import InvalidInput
from data.tabular.table import Fault
from data.tabular.table_spec import TableSpec

PAGE = Path(__file__).parent / "quality_page.html"
N_ROWS_SHOWN = 20

Severity = Literal["critical", "warning"]
Rule = Literal["contract", "completeness", "freshness", "distribution", "volume"]


@dataclass(frozen=True)
class Finding:
    """What one rule saw. `rows` are the places in the frame from 0, all of them."""

    rule: Rule
    severity: Severity
    is_good: bool
    column: str
    observed: str
    expected: str
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f"{self.column}: " if self.column else ""
        told = f"{self.rule}: {where}{self.observed}; expected {self.expected}"
        return f"{told} (rows {shown_rows(self.rows)})" if self.rows else told


@dataclass(frozen=True)
class QualityReport:
    table: str
    checked_at: datetime
    n_rows: int
    n_columns: int
    data_digest: str
    """sha256 over the values of the frame, so that a result names the data it is about."""
    findings: tuple[Finding, ...]
    engine: str = "pandera"

    @classmethod
    def of(
        cls, spec: TableSpec, frame: pd.DataFrame, findings: Sequence[Finding], engine: str = "pandera"
    ) -> "QualityReport":
        now = datetime.now(UTC).replace(microsecond=0)
        return cls(spec.name, now, len(frame), frame.shape[1], data_digest(frame), tuple(findings), engine)

    @property
    def critical(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if not one.is_good and one.severity == "critical")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if not one.is_good and one.severity == "warning")

    @property
    def verdict(self) -> Literal["good", "warning", "critical"]:
        return "critical" if self.critical else "warning" if self.warnings else "good"

    def as_dict(self) -> dict[str, Any]:
        return {"verdict": self.verdict} | asdict(self) | {"checked_at": self.checked_at.isoformat()}

    def page(self) -> str:
        """A page that needs nothing from elsewhere."""
        template = Environment(autoescape=True).from_string(PAGE.read_text("utf-8"))
        return template.render(report=self, shown_rows=shown_rows)

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write result and page; returns both paths. `latest.json` and `latest.html` are replaced."""
        there = folder / self.table
        there.mkdir(parents=True, exist_ok=True)
        stem = self.checked_at.strftime("%Y-%m-%dT%H-%M-%SZ")
        for name in (stem, "latest"):
            (there / f"{name}.json").write_text(json.dumps(self.as_dict(), indent=1), "utf-8")
            (there / f"{name}.html").write_text(self.page(), "utf-8")
        return there / f"{stem}.json", there / f"{stem}.html"


class QualityStopped(InvalidInput):
    """A critical finding stopped the run; `report` holds everything."""

    code = "quality_stopped"

    def __init__(self, report: QualityReport) -> None:
        told = "\n".join(f"  {one}" for one in report.critical[:10])
        super().__init__(
            f"{report.table} is not good enough: {len(report.critical)} critical findings.\n{told}\n",
            field=report.critical[0].column,
            next_step=f"Mend the table, or its rules if they are wrong. See: assay data check {report.table}",
        )
        self.report = report


def stop_if_critical(report: QualityReport) -> QualityReport:
    """Raises: QualityStopped. Warnings pass: they stand in the report."""
    if report.critical:
        raise QualityStopped(report)
    return report


def contract_findings(faults: Sequence[Fault]) -> list[Finding]:
    """Broken promises, those of one column and kind together; always critical."""
    together: dict[tuple[str, str], list[Fault]] = {}
    for fault in faults:
        together.setdefault((fault.column, fault.allowed), []).append(fault)
    findings = []
    for (column, allowed), ones in together.items():
        seen = list(dict.fromkeys(repr(one.value) for one in ones))
        values = ", ".join(seen[:5]) + (f" and {len(seen) - 5} more" if len(seen) > 5 else "")
        rows = tuple(one.row for one in ones if one.row is not None)
        observed = values if rows else "the column as a whole"
        findings.append(Finding("contract", "critical", False, column, observed, allowed, rows))
    return findings or [Finding("contract", "critical", True, "", "every cell as promised", "every cell as promised")]


def data_digest(frame: pd.DataFrame) -> str:
    """sha256 of names and values, in order; equal tables, equal digests, whatever their dtypes of words."""
    whole = hashlib.sha256()
    for name in frame:
        cells = frame[name]
        held = cells.astype(object) if isinstance(cells.dtype, pd.CategoricalDtype | pd.BooleanDtype) else cells
        whole.update(str(name).encode() + b"\0")
        hashed = pd.util.hash_array(held.to_numpy()) if held.dtype != object else _hashed_words(held)
        whole.update(np.ascontiguousarray(hashed, dtype="<u8").tobytes())
    return whole.hexdigest()


def _hashed_words(cells: pd.Series) -> np.ndarray:
    codes, words = pd.factorize(cells.where(cells.notna(), None).map(repr))
    return pd.util.hash_array(np.asarray(words, dtype=object))[codes]


def shown_rows(rows: Sequence[int]) -> str:
    more = f" and {len(rows) - N_ROWS_SHOWN} more" if len(rows) > N_ROWS_SHOWN else ""
    return ", ".join(map(str, rows[:N_ROWS_SHOWN])) + more
