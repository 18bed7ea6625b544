"""kill -9 at random moments of an ingest: what was acknowledged is there, whole, in all three stores. `make chaos` does 50 rounds."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from app.settings import load_settings
from app.wiring import open_assay
from data.records import Principal, Query, SearchMode
from tests.built_graphs import lend_graphs

ROOT = Path(__file__).parent.parent
N_FILES = 400


def write_files(folder: Path, version: int) -> None:
    folder.mkdir(exist_ok=True)
    for n in range(N_FILES):
        (folder / f"{n:03d}.txt").write_text(
            f"Shelf{n} holds parcel{n} of batch{version}x{n}.\n\nIts keeper is person{n}."
        )


def ingest_and_kill(home: Path, folder: Path, after_s: float) -> tuple[dict[str, str], bool]:
    """Start an ingest, kill it `after_s` seconds after the first document that it wrote.

    Returns uri -> document id of what it acknowledged, and whether it was killed before its end.
    """
    acknowledged, timer = {}, None
    with subprocess.Popen(
        [sys.executable, "-m", "app", "ingest", str(folder), "--json"],
        cwd=ROOT,
        env=os.environ | {"ASSAY_HOME": str(home), "ASSAY_INGEST__BATCH_DOCUMENTS": "8"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        for line in process.stdout:
            if not line.endswith("\n"):
                break  # torn by the kill
            event = json.loads(line)
            assert event["status"] != "refused", event
            acknowledged[event["uri"]] = event["document_id"]
            if timer is None and event["generation"]:
                timer = threading.Timer(after_s, _kill, (process.pid,))
                timer.start()
        if timer is not None:
            timer.cancel()
    assert process.returncode in {0, -signal.SIGKILL}
    return acknowledged, process.returncode != 0


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it ended meanwhile
        os.killpg(pid, signal.SIGKILL)


def check(home: Path, acknowledged: dict[str, str], chance: random.Random) -> int:
    """Everything acknowledged is stored whole and found; returns how many documents there are."""
    assay = open_assay(load_settings(home=home))
    try:
        agreement = assay.keeper.agreement()
        assert agreement.holds, agreement
        stored = assay.catalog.uris("default", "default", "file://")
        assert set(acknowledged.values()) <= set(stored.values())
        for uri in chance.sample(sorted(stored), min(12, len(stored))):
            document = assay.document(stored[uri], Principal())
            chunks = assay.chunks(stored[uri], Principal())
            assert chunks, "a document without chunks is half there"
            assert all(document.text[c.start : c.end] == c.text for c in chunks)
            number = int(Path(uri).stem)
            for mode in (SearchMode.LEXICAL, SearchMode.HYBRID):
                hits = assay.search(Query(text=f"parcel{number} person{number}", mode=mode, k=3)).hits
                assert stored[uri] in {s.document_id for hit in hits for s in hit.sources}, (uri, mode)
        return len(stored)
    finally:
        assay.close()


@pytest.mark.slow
def test_acknowledged_documents_survive_kill_9(tmp_path, request):
    chance = random.Random(20261123)
    rounds = request.config.getoption("--chaos-rounds")
    home, folder = lend_graphs(tmp_path / "home"), tmp_path / "docs"
    write_files(folder, version=0)
    acknowledged: dict[str, str] = {}
    n_killed = 0
    for n in range(rounds):
        if n and not n % 5:
            write_files(folder, version=n)  # updates get killed too
        told, was_killed = ingest_and_kill(home, folder, chance.uniform(0.0, 1.5))
        acknowledged |= told
        n_killed += was_killed
        n_stored = check(home, acknowledged, chance)
        print(
            f"round {n}: {len(told)} acknowledged, {'killed' if was_killed else 'ended by itself'}, {n_stored} stored"
        )
    print(f"{n_killed} of {rounds} rounds were killed at work")
    assert n_killed >= rounds // 4, "too few kills to show anything"
    finished, was_killed = ingest_and_kill(home, folder, 600)
    assert not was_killed
    assert len(finished) == N_FILES
    assert check(home, finished, chance) == N_FILES
