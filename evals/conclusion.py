"""What the gate says, in one word and one exit code. The only place that knows which word goes with which code."""

from collections.abc import Iterable
from enum import StrEnum

from data.records import Outcome


class Conclusion(StrEnum):
    """Wrong use (exit 2) is no conclusion: nothing was judged."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    INFRASTRUCTURE = "infrastructure"

    @property
    def word(self) -> str:
        return self.value.upper()

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[self]

    @property
    def outcome(self) -> Outcome | None:
        """As a verdict on a version; none where nothing was measured."""
        return None if self is Conclusion.INFRASTRUCTURE else Outcome(self.value)


_EXIT_CODES = {
    Conclusion.PASS: 0,
    Conclusion.FAIL: 1,
    Conclusion.INCONCLUSIVE: 3,
    Conclusion.INFRASTRUCTURE: 4,
}


def concluded(outcomes: Iterable[Outcome], *, error_share: float, max_error_share: float) -> Conclusion:
    """The suite's conclusion: errors are no scores, one failed gate fails it, and it passes when all of its gates do."""
    outcomes = tuple(outcomes)
    if error_share > max_error_share:
        return Conclusion.INFRASTRUCTURE
    if Outcome.FAIL in outcomes:
        return Conclusion.FAIL
    if outcomes and all(outcome is Outcome.PASS for outcome in outcomes):
        return Conclusion.PASS
    return Conclusion.INCONCLUSIVE
