"""python -m app.bench [--data FOLDER] [--only ingest,query]: measures, then writes docs/benchmarks.json and .md"""

import argparse
import json
import platform
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from app.bench.corpus import passages, questions
from app.settings import ROOT

OUT = ROOT / "docs" / "benchmarks.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data", help="the folder of public data sets"
    )
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts, of {', '.join(PARTS)}")
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "assay-bench", help="where stores are kept"
    )
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = json.loads(OUT.read_text()) if OUT.exists() else {}
    for part in given.only.split(","):
        print(f"{part} ...", flush=True)
        results[part] = {
            "date": date.today().isoformat(),
            "machine": machine(),
            **PARTS[part](given.data, given.work),
        }
        print(json.dumps(results[part], indent=2), flush=True)
        OUT.write_text(json.dumps(results, indent=2) + "\n")
    from app.bench.report import write

    write(results, ROOT / "docs" / "benchmarks.md")


def machine() -> str:
    """The machine in words, without its name."""
    gib = round(psutil.virtual_memory().total / 2**30)
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in flags), platform.machine())
    return f"{psutil.cpu_count()} cores ({widest}), {gib} GiB, no GPU, Python {platform.python_version()}"


def ingest(data: Path, work: Path) -> dict[str, Any]:
    from app.bench.ingest import bench_ingest

    return bench_ingest(passages(data, 1024))


def query(data: Path, work: Path) -> dict[str, Any]:
    from app.bench.query import bench_queries, bench_reference
    from app.bench.store import filled

    texts, asked = passages(data, 20_000), questions(data, 300)
    with filled(work, texts) as assay:
        out = bench_queries(assay, asked)
    out["langchain_ensemble"] = bench_reference(work / "reference", texts, asked[:50], work)
    out["ratio_to_langchain"] = round(out["hybrid"]["p50_ms"] / out["langchain_ensemble"]["p50_ms"], 3)
    return out


def server(data: Path, work: Path) -> dict[str, Any]:
    from app.bench.server import bench_server
    from app.bench.store import filled

    with filled(work, passages(data, 20_000)) as assay:
        home = assay.var.parent
    return bench_server(home, questions(data, 100))


def million(data: Path, work: Path) -> dict[str, Any]:
    from app.bench.dense import bench_million

    return bench_million(data, work)


def quality(data: Path, work: Path) -> dict[str, Any]:
    from app.bench.quality import bench_quality

    return bench_quality(data, work)


PARTS: dict[str, Callable[[Path, Path], dict[str, Any]]] = {
    "ingest": ingest,
    "query": query,
    "server": server,
    "million": million,
    "quality": quality,
}

if __name__ == "__main__":
    main()
