"""`assay ingest` as people meet it: a process of its own."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.built_graphs import lend_graphs
from tests.running_server import clean_environment, running_server

pytestmark = pytest.mark.slow  # starts the command, which converts in processes of its own

COMMAND = [sys.executable, "-m", "app", "ingest"]


@pytest.fixture(autouse=True)
def _home(tmp_path):
    lend_graphs(tmp_path / "home")


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "docs"
    root.mkdir()
    for n in range(3):
        (root / f"{n}.txt").write_text(f"parcel{n} lies on shelf{n}")
    (root / "[red].docx").write_bytes(b"no zip")
    return root


def run(home: Path, *args: object, command=COMMAND, **settings: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*command, *map(str, args)],
        cwd=home.parent,
        env=clean_environment(ASSAY_HOME=str(home), **settings),
        capture_output=True,
        text=True,
        timeout=120,
    )


def lines(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_every_file_is_one_line_of_json_and_a_second_run_changes_nothing(tmp_path, folder):
    first = run(tmp_path / "home", folder, "--json")
    assert first.returncode == 0, first.stderr
    by_name = {Path(e["uri"]).name: e for e in lines(first.stdout)}
    assert {n: e["status"] for n, e in by_name.items()} == {
        "0.txt": "added",
        "1.txt": "added",
        "2.txt": "added",
        "%5Bred%5D.docx": "refused",
    }
    bad = by_name["%5Bred%5D.docx"]
    assert bad["reason"] == "corrupt"
    assert "[red].docx" in bad["message"]
    assert bad["next_step"]
    again = lines(run(tmp_path / "home", folder, "--json").stdout)
    assert sorted(e["status"] for e in again) == ["refused"] + ["unchanged"] * 3


def test_people_see_what_was_refused_why_and_a_summary(tmp_path, folder):
    out = run(tmp_path / "home", folder)
    assert out.returncode == 0
    assert out.stdout == ""
    said = " ".join(out.stderr.split())
    assert "refused (corrupt)" in said
    assert "[red].docx is damaged" in said
    assert "Save it again" in said
    assert "3 added, 1 refused. Ask with: assay ask" in said


def test_an_empty_folder_says_that_nothing_was_found(tmp_path):
    (tmp_path / "empty").mkdir()
    out = run(tmp_path / "home", tmp_path / "empty")
    assert out.returncode == 0
    assert "Nothing found in" in out.stderr


def test_a_path_that_does_not_exist_is_wrong_use_and_costs_nothing(tmp_path, folder):
    out = run(tmp_path / "home", folder, tmp_path / "nope")
    assert out.returncode == 2
    assert "nope does not exist" in out.stderr
    assert "Traceback" not in out.stderr


def test_help_ends_with_an_example_that_runs(tmp_path):
    out = run(tmp_path / "home", "--help")
    example = re.search(r"Example: assay ingest (.*)$", " ".join(out.stdout.split()))
    assert example
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("words")
    assert run(tmp_path / "home", *example[1].split()).returncode == 0


def test_ctrl_c_ends_with_130_and_the_sentence_to_go_on(tmp_path):
    root = tmp_path / "docs"
    root.mkdir()
    for n in range(3000):
        (root / f"{n}.txt").write_text(f"parcel{n} lies on shelf{n}")
    process = subprocess.Popen(
        [*COMMAND, str(root), "--json"],
        cwd=tmp_path,
        env=clean_environment(ASSAY_HOME=str(tmp_path / "home"), ASSAY_INGEST__BATCH_DOCUMENTS="8"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        acknowledged = [json.loads(process.stdout.readline())["document_id"]]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Run the same command again to go on." in " ".join(err.split())
    assert "Traceback" not in err
    acknowledged += [e["document_id"] for e in lines(out)]
    assert len(acknowledged) < 3000
    listed = run(tmp_path / "home", "list", "--limit", 1000, "--json", command=[*COMMAND[:3], "documents"])
    stored = {d["id"] for d in json.loads(listed.stdout)["data"]}
    assert set(acknowledged) <= stored


def test_a_terminal_shows_progress_with_rate_and_remaining_time(tmp_path, folder):
    for n in range(300):
        (folder / f"more{n}.txt").write_text(f"thing{n}")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, str(folder)],
        cwd=tmp_path,
        env=clean_environment(ASSAY_HOME=str(tmp_path / "home"), TERM="xterm", COLUMNS="120"),
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(60) == 0
    text = shown.decode()
    assert "304/304" in text
    assert "files/s" in text
    assert re.search(r"\d:\d\d:\d\d", text)


@pytest.mark.slow
def test_a_running_server_finds_what_the_command_line_ingests_within_a_second(tmp_path, folder):
    home = tmp_path / "home"
    with running_server(home) as server:
        process = subprocess.Popen(
            [*COMMAND, str(folder), "--json"],
            cwd=tmp_path,
            env=clean_environment(ASSAY_HOME=str(home), ASSAY_INGEST__BATCH_DOCUMENTS="1"),
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            delays = [_delay_s(server, json.loads(line)) for line in process.stdout]
        assert process.returncode == 0
        print("seconds from acknowledgement to search:", [round(d, 2) for d in delays])
        assert max(delays) < 1 + 1  # the bound of the product, and as much again for a machine that does other work
        (folder / "0.txt").write_text("rewritten words")
        assert run(home, folder, "--sync").returncode == 0
        deadline = time.monotonic() + 5
        while not (hits := _search(server, "rewritten words")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert hits
        doctor = run(home, "--json", command=[*COMMAND[:3], "doctor"])
        assert json.loads(doctor.stdout)["agree"], doctor.stdout


def _delay_s(server, event: dict) -> float:
    """Seconds from now until searches find what an event acknowledged."""
    acknowledged = time.monotonic()
    while event["status"] == "added" and event["document_id"] not in _found(server, event):
        assert time.monotonic() - acknowledged < 10
        time.sleep(0.02)
    return time.monotonic() - acknowledged


def _found(server, event: dict) -> set[str]:
    number = Path(event["uri"]).stem
    return {s["document_id"] for hit in _search(server, f"parcel{number}") for s in hit["sources"]}


def _search(server, text: str) -> list[dict]:
    reply = httpx.post(f"{server.base}/v1/search", json={"query": text, "mode": "lexical"}, timeout=30)
    assert reply.status_code == 200, reply.text
    return reply.json()["hits"] if "hits" in reply.json() else reply.json()["data"]
