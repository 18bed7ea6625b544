"""A throw-away PostgreSQL server for tests marked `postgres`: unix socket only, trust, no fsync, gone afterwards."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

READY_WITHIN_S = 60


@contextmanager
def throw_away_postgres() -> Iterator[str]:
    """Yield the folder of its socket. Runs as the user `postgres` where we are root: initdb refuses root."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not below pytest's folder: sockets need short paths
    if user:
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    log = (folder / "log").open("wb")
    options = {"cwd": folder, "stdout": log, "stderr": log}
    subprocess.run(
        [*user, programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N", "--no-locale", "-E", "UTF8"],
        check=True,
        **options,
    )
    settings = ["listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "max_connections=80"]
    flags = [part for setting in settings for part in ("-c", setting)]
    process = subprocess.Popen([*user, programs / "postgres", "-D", data, *flags], **options)
    try:
        _await(folder, process)
        yield str(folder)
    finally:
        process.send_signal(signal.SIGINT)  # do not wait for clients
        process.wait(30)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _await(folder: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            psycopg.connect(host=str(folder), user="postgres", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with throw_away_postgres() as folder:
        yield folder


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The SQLAlchemy URL of a new, empty database; use it in tests marked `postgres`."""
    name = f"t{os.urandom(6).hex()}"
    with psycopg.connect(host=postgres_server, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return f"postgresql+psycopg://postgres@/{name}?host={postgres_server}"
