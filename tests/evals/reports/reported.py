"""Reports of every conclusion, by the gate itself, for tests of how they are written. Imported by tests."""

from functools import cache

from evals.conclusion import Conclusion
from evals.gate import run_gate
from evals.gate_config import GateConfig
from evals.gate_report import GateReport
from tests.evals.gated_rows import failed, plan_of, row

GOOD, BAD = {"quality": 1.0, "safe": 1.0}, {"quality": 0.0, "safe": 1.0}
GATES = (GateConfig(metric="quality", margin=0.1, floor=0.3), GateConfig(metric="safe", margin=0.1))
NASTY = '<img src=x onerror="y"> [link](http://evil) `code` | cell | @everyone \x00\ud800 & </testcase>'


@cache
def report_of(conclusion: Conclusion) -> GateReport:
    after = {
        Conclusion.PASS: [GOOD] * 60,
        Conclusion.FAIL: [BAD, GOOD, GOOD] * 20,
        Conclusion.INCONCLUSIVE: [BAD] * 2 + [GOOD] * 58,
        Conclusion.INFRASTRUCTURE: [failed("x", NASTY)] * 6 + [GOOD] * 54,
    }[conclusion]
    found = run_gate(plan_of([GOOD] * 60, after, GATES, asks_all=True))
    assert found.conclusion is conclusion
    return found


@cache
def nasty_report() -> GateReport:
    """Words of models and documents that try to be markup."""
    before = [row("x", GOOD, text="fine")] * 60
    after = [row("x", BAD, text=NASTY.encode("utf-8", "replace").decode())] * 60
    return run_gate(plan_of(before, after, GATES, notes=(NASTY.replace("\ud800", ""),)))
