"""Keeps what the gate said, of whatever it compared. The words of answers are left out: runs hold them, where an erasure finds them."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, func, insert, select

from data.database import Database
from data.errors import NotFound
from data.tables import gate_reports
from evals.gate_report import GateReport


@dataclass(frozen=True)
class GateLine:
    id: str
    suite: str
    conclusion: str
    baseline: str
    candidate: str
    created_at: datetime


@dataclass(frozen=True)
class GateQuery:
    suite: str = ""
    conclusion: str = ""


LINE = tuple(field.name for field in fields(GateLine))


class GateHistory:
    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, report: GateReport) -> str:
        """Returns the id under which it is found again."""
        worst = tuple(case.model_copy(update={"before": "", "after": ""}) for case in report.worst)
        kept = report.model_copy(update={"worst": worst})
        row = {
            "id": f"gate_{secrets.token_hex(6)}",
            "suite": kept.suite,
            "conclusion": kept.conclusion.value,
            "baseline": kept.baseline.ref,
            "candidate": kept.candidate.ref,
            "created_at": kept.created_at,
            "body": kept.model_dump(mode="json"),
        }
        with self._database.append() as connection:
            connection.execute(insert(gate_reports), row)
        return row["id"]

    def get(self, identity: str) -> GateReport:
        """Raises: NotFound."""
        found = self._all(select(gate_reports.c.body).where(gate_reports.c.id == identity))
        if not found:
            raise NotFound(f"There is no verdict {identity!r}.", next_step="See /dashboard/gates.")
        return GateReport.model_validate(found[0].body)

    def lines(self, query: GateQuery, limit: int, offset: int = 0) -> list[GateLine]:
        """Newest first."""
        c = gate_reports.c
        asked = _chosen(select(*(c[name] for name in LINE)), query)
        return [_line(row) for row in self._all(asked.order_by(c.created_at.desc()).limit(limit).offset(offset))]

    def newest(self) -> list[GateLine]:
        """The newest of each suite."""
        c = gate_reports.c
        place = func.row_number().over(partition_by=c.suite, order_by=c.created_at.desc()).label("place")
        ranked = select(*(c[name] for name in LINE), place).subquery()
        rows = self._all(select(*(ranked.c[name] for name in LINE)).where(ranked.c.place == 1).order_by(ranked.c.suite))
        return [_line(row) for row in rows]

    def n(self, query: GateQuery) -> int:
        return self._all(_chosen(select(func.count()).select_from(gate_reports), query))[0][0]

    def suites(self) -> list[str]:
        return [name for (name,) in self._all(select(gate_reports.c.suite).distinct().order_by(gate_reports.c.suite))]

    def _all(self, asked: Select) -> Sequence[Any]:
        with self._database.read() as connection:
            return connection.execute(asked).all()


def _line(row: Any) -> GateLine:
    return GateLine(*row[:-1], created_at=_utc(row.created_at))


def _chosen(asked: Select, query: GateQuery) -> Select:
    if query.suite:
        asked = asked.where(gate_reports.c.suite == query.suite)
    return asked.where(gate_reports.c.conclusion == query.conclusion) if query.conclusion else asked


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)  # SQLite forgets the zone; everything is stored in UTC
