"""Checks on a schedule as a Prefect deployment. The one file that knows Prefect; needs its server or `assay watch serve` running.

assay watch serve --every 24 questions claims
"""

import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta

from prefect import flow, task

from app.settings import ROOT, child_environment, load_settings

NAME = "assay-drift"
ALARM, TOO_FEW = 1, 3


@task(retries=2, retry_delay_seconds=60)
def check_drift(watch: str) -> int:
    """One check in a process of its own. An alarm is a result, not a failure; wrong use and infrastructure are. Returns the exit code."""
    settings = load_settings()
    environment = child_environment(
        ASSAY_HOME=str(settings.home), ASSAY_DATABASE_URL=settings.database_url.get_secret_value()
    )
    command = [sys.executable, "-m", "app", "drift", "check", watch, "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, ALARM, TOO_FEW):
        raise RuntimeError(f"assay drift check {watch} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.returncode


@flow(name=NAME)
def check_all(watches: list[str]) -> dict[str, int]:
    """Every watch in turn; a failing one does not stop the others. Returns exit codes, and 4 for what failed."""
    states = [check_drift(watch, return_state=True) for watch in watches]
    return {watch: state.result() if state.is_completed() else 4 for watch, state in zip(watches, states, strict=True)}


def serve(watches: Sequence[str], every_hours: float) -> None:
    """Create the deployment and run it until stopped."""
    check_all.serve(name=NAME, parameters={"watches": list(watches)}, interval=timedelta(hours=every_hours))
