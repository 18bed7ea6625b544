"""A Prefect server on loopback for runs that were given none: `with local_api() as url`. Also: python -m serving.tabular.prefect_server PORT

Prefect 3.8 starts one by itself, but its routes still say `Body(min_items=...)`, which FastAPI refuses since 0.151 and we need a newer one;
Prefect 3.9 only caps FastAPI. Here the two words are translated before its routes are made. Runs against a server of their own
(PREFECT_API_URL) never come here.
"""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from data.errors import InfrastructureError

READY_WITHIN_S = 120.0
ROOT = Path(__file__).parents[2]


@contextmanager
def local_api() -> Iterator[str]:
    """The URL of a server that lives as long as the block; its database is Prefect's (PREFECT_HOME). Raises: InfrastructureError."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "serving.tabular.prefect_server", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        _await_ready(f"http://127.0.0.1:{port}/api", process)
        yield f"http://127.0.0.1:{port}/api"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(url: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise InfrastructureError(
        f"Prefect's server at {url} did not start.",
        next_step="Start one: prefect server start; then set PREFECT_API_URL.",
    )


def _translated(declare: Callable[..., Any]) -> Callable[..., Any]:
    """FastAPI's `Body`, with the words for lengths that it knew before 0.151."""

    @wraps(declare)
    def with_items(*args: Any, min_items: int | None = None, max_items: int | None = None, **more: Any) -> Any:
        lengths = {"min_length": min_items, "max_length": max_items}
        return declare(*args, **more, **{name: n for name, n in lengths.items() if n is not None})

    return with_items


def main(port: int) -> None:
    import fastapi
    import uvicorn

    fastapi.Body = _translated(fastapi.Body)
    from prefect.server.api.server import create_app  # its routes are declared by this import

    uvicorn.run(create_app(ephemeral=True), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
