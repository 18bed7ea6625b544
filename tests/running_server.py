"""`assay serve` as a process of its own, for tests that need the real thing."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.built_graphs import lend_graphs

ROOT = Path(__file__).parent.parent
SERVE = ("-m", "app", "serve")
"""What the image runs too."""
READY_WITHIN_S = 300
"""Generous: the machine may be busy, and the first start ingests."""
GRACE_S = 3
"""At the end: a stream that a test left open would hold a server for its whole grace period."""


@dataclass(frozen=True)
class RunningServer:
    base: str
    home: Path
    process: subprocess.Popen
    log: Path
    ready_cpu_s: float
    """Processor time that it took to become ready."""

    def get(self, path: str, **options) -> httpx.Response:
        return httpx.get(self.base + path, timeout=30, **options)

    def stop(self) -> int:
        """SIGTERM, then the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def maps(self) -> str:
        """The files that the process has loaded."""
        return Path(f"/proc/{self.process.pid}/maps").read_text()


@contextmanager
def running_server(home: Path, *args: str, builds: bool = False, **settings: str) -> Iterator[RunningServer]:
    """Serve on a free port of loopback, ready when the block begins. It runs in `home`, away from the checkout.

    Where it `builds`, it makes the encoder's graphs itself, as a first start does.
    """
    if not builds:
        lend_graphs(home)
    port, log = free_port(), home / "serve.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, *SERVE, *args],
            cwd=home,
            env=clean_environment(ASSAY_HOME=str(home), ASSAY_PORT=str(port), **settings),
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        base = f"http://127.0.0.1:{port}"
        _await_ready(base, process, log)
        yield RunningServer(base, home, process, log, _cpu_s(process.pid))
    finally:
        process.terminate()
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment without anybody's settings, with `settings`, and with our packages to be found from any folder."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("ASSAY_")}
    return kept | {"PYTHONPATH": str(ROOT)} | settings


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def _await_ready(base: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    with httpx.Client(timeout=5) as client:
        while time.monotonic() < deadline:
            assert process.poll() is None, f"the server ended with {process.returncode}: {log.read_text()[-2000:]}"
            with suppress(httpx.TransportError):
                if client.get(f"{base}/readyz").status_code == 200:
                    return
            time.sleep(0.05)
    raise AssertionError(f"the server was not ready within {READY_WITHIN_S} s: {log.read_text()[-2000:]}")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
