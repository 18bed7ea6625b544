"""python -m app.bench [--data FOLDER] [--only ingest,query]: measures, then writes docs/benchmarks.json and .md

Each part runs in a process of its own and is written down when it ends, so a run that was cut short goes on with `--only`.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from app.bench.corpus import passages, questions
from app.settings import ROOT

OUT = ROOT / "docs" / "benchmarks.json"
N_PASSAGES = 15_500
"""They make about 20,000 chunks."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="the folder of public data sets"
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "assay-bench",
        help="where stores, vectors and the reference's environment are kept between runs (about 4 GB)",
    )
    given = parser.parse_args()
    wanted = given.only.split(",")
    if unknown := set(wanted) - PARTS.keys():
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    given.work.mkdir(parents=True, exist_ok=True)
    if len(wanted) == 1:
        measure(wanted[0], given.data, given.work)
        return 0
    command = [sys.executable, "-m", "app.bench", "--data", str(given.data), "--work", str(given.work), "--only"]
    failed = [part for part in wanted if subprocess.run([*command, part], cwd=ROOT).returncode]
    if failed:
        print(f"Failed: {', '.join(failed)}; what was measured earlier stays in {OUT.name}.", file=sys.stderr)
    return 1 if failed else 0


def measure(part: str, data: Path, work: Path) -> None:
    """Run one part and write down what it found, with the load of the machine before it began."""
    from app.bench.report import write

    print(f"{part} ...", flush=True)
    about = {"date": date.today().isoformat(), "machine": machine(), "load_before": round(os.getloadavg()[0], 1)}
    found = about | PARTS[part](data, work)
    print(json.dumps(found, indent=2), flush=True)
    results = (json.loads(OUT.read_text()) if OUT.exists() else {}) | {part: found}
    OUT.write_text(json.dumps({name: results[name] for name in PARTS if name in results}, indent=2) + "\n")
    write(results, ROOT / "docs" / "benchmarks.md")


def machine() -> str:
    """The machine in words, without its name."""
    gib = round(psutil.virtual_memory().total / 2**30)
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    known = ("avx512_vnni", "avx512f", "avx2", "avx")
    widest = next((name for name in known if name in flags), platform.machine())
    return f"{psutil.cpu_count()} cores ({widest}), {gib} GiB, no GPU, Python {platform.python_version()}"


def ingest(data: Path, work: Path) -> dict[str, Any]:
    from app.bench.ingest import bench_ingest

    return bench_ingest(passages(data, 1024))


def precision(data: Path, work: Path) -> dict[str, Any]:
    from app.bench.precision import bench_precision

    return bench_precision(data, work)


def query(data: Path, work: Path) -> dict[str, Any]:
    from app.bench.query import bench_queries, bench_reference, compared
    from app.bench.store import filled, stored_chunks

    asked = questions(data, 300)
    with filled(work, passages(data, N_PASSAGES)) as assay:
        before = bench_queries(assay, asked)
        theirs = bench_reference(work, *stored_chunks(assay), asked[:100])
        return compared(before, theirs, bench_queries(assay, asked))


def server(data: Path, work: Path) -> dict[str, Any]:
    from app.bench.server import bench_server
    from app.bench.store import filled

    with filled(work, passages(data, N_PASSAGES)) as assay:
        home = assay.var.parent
    return bench_server(home, questions(data, 100))


def million(data: Path, work: Path) -> dict[str, Any]:
    from app.bench.dense import bench_million
    from app.bench.store import filled, stored_chunks

    with filled(work, passages(data, N_PASSAGES)) as assay:
        _, real = stored_chunks(assay)
        asked = assay.embed(questions(data, 1000), kind="query")
    return bench_million(real, asked, work / "million")


PARTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "ingest": ingest,
    "precision": precision,
    "query": query,
    "server": server,
    "million": million,
}

if __name__ == "__main__":
    sys.exit(main())
