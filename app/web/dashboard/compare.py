"""The view of two runs side by side: paired differences of each metric, and the samples that changed most."""

from dataclasses import dataclass
from typing import Any

from app.web.dashboard.choice import choose
from app.web.dashboard.runs import MOST, PAGE, sample_address
from app.web.dashboard.sources import Sources
from app.web.dashboard.table import Column, Table
from app.web.dashboard.view import Chart, View
from data.errors import InvalidInput

RECENT = 40


@dataclass(frozen=True)
class CompareFilter:
    """`a` is the earlier one: where it is not named, the run before `b`; where that is not named either, the newest."""

    a: str = ""
    b: str = ""
    metric: str = ""
    page: int = 1
    is_download: bool = False


def compare(sources: Sources, wanted: CompareFilter) -> View:
    """Raises: NotFound for an unknown run, InvalidInput for runs without a metric in common."""
    from evals.digest_store import RunQuery
    from evals.paired import metrics_of_both, paired

    recent = sources.runs.runs(RunQuery(), RECENT)
    after = wanted.b or (recent[0].id if recent else "")
    before = wanted.a or (sources.runs.before(after) if after else "") or ""
    context: dict[str, Any] = {"recent": recent, "a": before, "b": after, "wanted": wanted}
    if not before or not after:
        return View("compare.html", context | {"lines": None})
    lines = sources.runs.line(before), sources.runs.line(after)
    if before == after:
        raise InvalidInput("Both are the same run.", field="a", next_step="Choose another one to compare it with.")
    old, new = sources.runs.values(before), sources.runs.values(after)
    names = metrics_of_both(old, new)
    higher = {one.metric: one.summary.higher_is_better for one in sources.runs.metrics(after)}
    found = [paired(old, new, name) for name in names]
    metric = choose("metric", wanted.metric, names, _first_changed(found))
    one = next((one for one in found if one.metric == metric), None)
    sign = 1 if higher.get(metric, True) else -1
    changed = sorted((s for s in one.samples if s.change), key=lambda s: sign * s.change) if one else []
    limit, offset = (MOST, 0) if wanted.is_download else (PAGE, (wanted.page - 1) * PAGE)
    shown = changed[offset : offset + limit]
    asked = sources.runs.samples(after, [s.sample_id for s in shown])
    tables = (_metrics_table(found, higher), _samples_table(after, shown, asked, sign))
    told = f"The change of {len(found)} metrics with its 95 % interval."
    chart = Chart(
        "changes",
        "changes",
        "Changes",
        told,
        {"x": "change", "low": "low", "high": "high", "y": "metric", "tone": "verdict", "panel": "scale"},
    )
    context |= {"lines": lines, "metric": metric, "names": names, "one": one, "n": len(changed), "page": wanted.page}
    context |= {"n_pages": -(-len(changed) // PAGE), "n_same": one.n - len(changed) if one else 0}
    return View("compare.html", context, tables, (chart,) if found else ())


def _first_changed(found) -> str:
    return next((one.metric for one in found if one.is_told_apart), found[0].metric if found else "")


def verdict(change: float | None, is_told_apart: bool, is_same: bool, higher_is_better: bool) -> str:
    if change is None:
        return "not comparable"
    if is_same:
        return "the same"
    if not is_told_apart:
        return "no difference shown"
    return "better" if (change > 0) == higher_is_better else "worse"


TONES = {"better": "good", "worse": "bad"}


def _metrics_table(found, higher: dict[str, bool]) -> Table:
    rows = []
    for one in found:
        is_same = not any(sample.change for sample in one.samples)
        said = verdict(one.change, one.is_told_apart, is_same, higher.get(one.metric, True))
        largest = max((abs(v) for s in one.samples for v in (s.before, s.after)), default=0.0)
        rows.append(
            {
                name: getattr(one, name)
                for name in ("metric", "before", "after", "change", "low", "high", "n", "n_clusters", "n_unpaired")
            }
            | {
                "verdict": said,
                "scale": "0 to 1" if largest <= 1 else "other units",
                "_tones": {"verdict": TONES.get(said, "muted")},
            }
        )
    columns = (
        Column("metric", "Metric", is_heading=True),
        Column("before", "Before", "figure"),
        Column("after", "After", "figure"),
        Column("change", "Change", "interval"),
        Column("low"),
        Column("high"),
        Column("verdict", "Verdict", "badge"),
        Column("n", "Samples", "figure"),
        Column("n_clusters", "Documents", "figure"),
        Column("n_unpaired", "In one only", "figure"),
        Column("scale"),
    )
    return Table("changes", "Changes", columns, tuple(rows), empty="The runs have no metric in common.")


def _samples_table(run: str, shown, asked, sign: int) -> Table:
    rows = tuple(
        {
            "question": asked[one.sample_id].question if one.sample_id in asked else one.sample_id,
            "sample": one.sample_id,
            "before": one.before,
            "after": one.after,
            "change": one.change,
            "_links": {"question": sample_address(run, one.sample_id)},
            "_tones": {"change": "good" if sign * one.change > 0 else "bad"},
        }
        for one in shown
    )
    columns = (
        Column("question", "Question", is_heading=True),
        Column("sample"),
        Column("before", "Before", "figure"),
        Column("after", "After", "figure"),
        Column("change", "Change", "change"),
    )
    return Table("samples", "Samples that changed, the losses first", columns, rows, empty="No sample changed.")
