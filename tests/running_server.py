"""`assay serve` as a process of its own, for tests that need the real thing."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent
SERVE = ("-m", "app", "serve")
"""What the image runs too."""
READY_WITHIN_S = 300
"""Generous: the machine may be busy, and the first start ingests."""


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
def running_server(home: Path, *args: str, **settings: str) -> Iterator[RunningServer]:
    """Serve on a free port of loopback, ready when the block begins. It runs in `home`, away from the checkout."""
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
            process.wait(30)
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
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}: {log.read_text()[-2000:]}"
        try:
            if httpx.get(f"{base}/readyz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the server was not ready within {READY_WITHIN_S} s: {log.read_text()[-2000:]}")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
