"""An alarm budget becomes thresholds: "at most one false alarm a month over all monitors" is a sum, and a sum can be shared out.

Expectations add up whatever depends on what, so no independence of monitors or windows is needed. Half of the budget goes to monitors
that look at whole windows (each test may be wrong with probability alpha), half to sequential detectors (each may run as long as
`run_length` events between false alarms, on average); where there is but one kind, it gets all.
"""

from dataclasses import dataclass

from data.errors import InvalidInput


@dataclass(frozen=True)
class AlarmBudget:
    """So many false alarms in so many days, in expectation."""

    false_alarms: float = 1.0
    days: float = 30.0


@dataclass(frozen=True)
class Allowance:
    """`alpha` for each window test; `run_length` in events for each detector. None where there is none of its kind."""

    alpha: float | None
    run_length: float | None


def allowance(
    budget: AlarmBudget, *, n_monitors: int, window_days: float, n_detectors: int = 0, events_per_day: float = 0.0
) -> Allowance:
    """Share the budget out over windows of `window_days` that do not overlap, and over streams. Raises: InvalidInput."""
    if budget.false_alarms <= 0 or budget.days <= 0 or window_days <= 0:
        raise InvalidInput(
            f"The budget of {budget.false_alarms:g} false alarms in {budget.days:g} days with windows of {window_days:g} days "
            "leaves nothing to share out; all three must be above 0.",
            field="budget",
        )
    half = budget.false_alarms / ((n_monitors > 0) + (n_detectors > 0) or 1)
    alpha = min(0.2, half * window_days / (budget.days * n_monitors)) if n_monitors else None
    n_events = max(1.0, n_detectors * events_per_day * budget.days)
    return Allowance(alpha, n_events / half if n_detectors else None)
