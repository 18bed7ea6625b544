"""The rules of a spec as a Great Expectations suite: completeness, freshness, distribution, volume. Stores nothing; imports in 12 s.

findings = suite_findings(frame, spec)     # a settled frame
Data Docs are not built: their pages fetch a dozen scripts from elsewhere and tell their maker who reads them. `QualityReport.page` needs nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation

from data.errors import InvalidInput
from data.tabular.quality import Finding, Rule, Severity
from data.tabular.table_spec import TableSpec

ENGINE = f"Great Expectations {gx.__version__}"


@dataclass(frozen=True)
class _Rule:
    rule: Rule
    expected: str
    expectation: Expectation
    column: str = ""


def suite_findings(frame: pd.DataFrame, spec: TableSpec, *, now: datetime | None = None) -> list[Finding]:
    """Run the suite over a settled frame, every rule's finding in the order of the spec. Raises: InvalidInput."""
    rules = list(_rules(spec, now or datetime.now(UTC)))
    if not rules:
        return []
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    batch = context.data_sources.add_pandas("tables").add_dataframe_asset(spec.name)
    suite = context.suites.add(gx.ExpectationSuite(name=spec.name))
    for at, rule in enumerate(rules):
        rule.expectation.meta = {"rule": at}
        suite.add_expectation(rule.expectation)
    definition = gx.ValidationDefinition(
        name=spec.name, data=batch.add_batch_definition_whole_dataframe("all"), suite=suite
    )
    ran = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": frame}, result_format={"result_format": "COMPLETE"}
    )
    found = {result.expectation_config.meta["rule"]: result for result in ran.results}
    return [_finding(rule, found[at], len(frame)) for at, rule in enumerate(rules)]


def _rules(spec: TableSpec, now: datetime) -> Iterator[_Rule]:
    quality = spec.quality
    yield _Rule(
        "volume",
        f"at least {quality.min_rows} rows",
        gxe.ExpectTableRowCountToBeBetween(min_value=quality.min_rows, severity="critical"),
    )
    if quality.max_rows is not None:
        yield _Rule(
            "volume",
            f"at most {quality.max_rows} rows",
            gxe.ExpectTableRowCountToBeBetween(max_value=quality.max_rows, severity="warning"),
        )
    for name, share in quality.max_missing_share.items():
        yield _completeness(name, share, _severity(spec, name))
        if _severity(spec, name) == "warning" and 2 * share < 1:
            yield _completeness(name, 2 * share, "critical")
    for name, (low, high) in quality.mean_between.items():
        expectation = gxe.ExpectColumnMeanToBeBetween(
            column=name, min_value=low, max_value=high, severity=_severity(spec, name)
        )
        yield _Rule("distribution", f"a mean from {low:g} to {high:g}", expectation, name)
    for name, shares in quality.share_of_value.items():
        for word, (low, high) in shares.items():
            yield from _share(spec, name, word, low, high)
    if quality.freshness:
        oldest = now.astimezone(UTC).replace(tzinfo=None, microsecond=0) - timedelta(
            days=quality.freshness.max_age_days
        )
        expectation = gxe.ExpectColumnMaxToBeBetween(
            column=spec.time, min_value=oldest, severity=quality.freshness.severity
        )
        yield _Rule("freshness", f"a newest row from {oldest.isoformat()} on", expectation, spec.time)


def _completeness(name: str, share: float, severity: Severity) -> _Rule:
    expectation = gxe.ExpectColumnValuesToNotBeNull(column=name, mostly=1 - share, severity=severity)
    return _Rule("completeness", f"at most {share:.1%} missing", expectation, name)


def _share(spec: TableSpec, name: str, word: str, low: float, high: float) -> Iterator[_Rule]:
    """Great Expectations has no rule for the share of a value: one says that enough rows have it, one that not too many do."""
    value: Any = word
    if spec.columns[name].kind == "boolean":
        value = word == "true"
    severity = _severity(spec, name)
    if low > 0:
        expectation = gxe.ExpectColumnValuesToBeInSet(column=name, value_set=[value], mostly=low, severity=severity)
        yield _Rule("distribution", f"at least {low:.1%} {word}", expectation, name)
    if high < 1:
        expectation = gxe.ExpectColumnValuesToNotBeInSet(
            column=name, value_set=[value], mostly=1 - high, severity=severity
        )
        yield _Rule("distribution", f"at most {high:.1%} {word}", expectation, name)


def _severity(spec: TableSpec, name: str) -> Severity:
    return "critical" if name in spec.quality.critical else "warning"


def _finding(rule: _Rule, result: Any, n_rows: int) -> Finding:
    if trouble := _raised(result.exception_info):
        raise InvalidInput(
            f"The rule {rule.expected!r} on {rule.column or 'the table'} could not be checked: {trouble}",
            field=rule.column,
            next_step="Check the contract first; mend `quality` of the spec.",
        )
    seen = result.result
    rows: tuple[int, ...] = ()
    if rule.rule == "volume":
        observed = f"{seen['observed_value']} rows"
    elif rule.rule == "completeness":
        observed = f"{seen['unexpected_count'] / max(n_rows, 1):.1%} missing"
        rows = tuple(int(row) for row in seen.get("unexpected_index_list") or ())
    elif isinstance(rule.expectation, gxe.ExpectColumnMeanToBeBetween):
        observed = f"a mean of {seen['observed_value']:.6g}"
    elif rule.rule == "freshness":
        observed = f"a newest row of {pd.Timestamp(seen['observed_value']).isoformat()}"
    else:
        has_it = isinstance(rule.expectation, gxe.ExpectColumnValuesToNotBeInSet)
        percent = seen["unexpected_percent_nonmissing"] or 0.0
        observed = f"{(percent if has_it else 100 - percent) / 100:.1%}"
    kept = () if result.success else rows
    severity: Severity = "critical" if str(rule.expectation.severity.value) == "critical" else "warning"
    return Finding(rule.rule, severity, bool(result.success), rule.column, observed, rule.expected, kept)


def _raised(info: Any) -> str:
    """GX keeps one record, or one for each metric."""
    told = info if "raised_exception" in info else next(iter(info.values()), {})
    return str(told.get("exception_message")) if told.get("raised_exception") else ""
