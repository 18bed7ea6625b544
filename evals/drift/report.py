"""A check as one HTML page without scripts, to keep and to send. Knows findings; draws no chart (the dashboard does)."""

from html import escape

from evals.drift.records import DriftCheck, MonitorValue

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1a1a1a; background: #fff }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 } th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd }
td.n { text-align: right; font-variant-numeric: tabular-nums } .alarm { color: #b00020; font-weight: 600 } .quiet { color: #1b6e3c }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #161616 } th, td { border-color: #444 } .alarm { color: #ff8a80 } .quiet { color: #81c995 } }
"""
SAID = {"alarm": "Alarm", "quiet": "Quiet", "too_few": "Too few data to tell"}


def to_html(check: DriftCheck, values: list[MonitorValue], links: dict[str, str] | None = None) -> str:
    """`links` are other reports beside it, by name."""
    parts = [
        f"<h1>{escape(check.watch)}: <span class='{escape(check.outcome)}'>{SAID[check.outcome]}</span></h1>",
        f"<p>Window {check.window_start:%Y-%m-%d %H:%M} to {check.window_end:%Y-%m-%d %H:%M} UTC, {check.n_current} rows against "
        f"{check.n_reference} of the reference. Budget: {check.budget:g} false alarms in {check.budget_days:g} days over "
        f"{check.n_monitors} monitors. {escape(check.note)}</p>",
        _causes(check),
        _clusters(check),
        _values(values),
        _links(links or {}),
    ]
    title = f"{check.watch} {check.window_end:%Y-%m-%d}"
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(part for part in parts if part)}</body></html>\n"
    )


def _causes(check: DriftCheck) -> str:
    if not check.causes:
        return ""
    rows = "".join(
        f"<tr><td class='n'>{_number(cause.harm)}</td><td>{escape(cause.told)}<br><small>{escape(' · '.join(cause.examples))}</small></td>"
        f"<td>{escape(cause.action)}</td></tr>"
        for cause in check.causes
    )
    unit = f" ({escape(check.harm_unit)})" if check.harm_unit else ""
    return f"<h2>Causes, the most harmful first</h2><table><tr><th>harm{unit}</th><th>what</th><th>to do</th></tr>{rows}</table>"


def _clusters(check: DriftCheck) -> str:
    if not check.clusters:
        return ""
    rows = "".join(
        f"<tr><td>{escape(', '.join(one.terms))}</td><td class='n'>{one.n}</td><td class='n'>{one.share:.1%}</td>"
        f"<td class='n'>{one.similarity:.2f}</td><td>{escape(' · '.join(one.examples))}</td></tr>"
        for one in check.clusters
    )
    return (
        "<h2>Asked, and not in the knowledge base</h2><table><tr><th>about</th><th>questions</th><th>share</th><th>nearest chunk</th>"
        f"<th>examples</th></tr>{rows}</table>"
    )


def _values(values: list[MonitorValue]) -> str:
    rows = "".join(
        f"<tr><td>{escape(v.monitor)}</td><td class='n'>{_number(v.value)}</td><td class='n'>{_number(v.low)} to {_number(v.high)}</td>"
        f"<td class='n'>{_number(v.threshold)}</td><td class='{'alarm' if v.is_alarm else 'quiet'}'>{'alarm' if v.is_alarm else escape(v.note) or 'quiet'}</td></tr>"
        for v in values
    )
    return f"<h2>Monitors</h2><table><tr><th>monitor</th><th>effect</th><th>95 %</th><th>threshold</th><th></th></tr>{rows}</table>"


def _links(links: dict[str, str]) -> str:
    if not links:
        return ""
    items = "".join(f"<li><a href='{escape(where)}'>{escape(name)}</a></li>" for name, where in links.items())
    return f"<h2>Beside it</h2><ul>{items}</ul>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
