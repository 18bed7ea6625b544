"""The server as a process: start to ready, memory, overhead of a request, many streams, many requests."""

import asyncio
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from app.settings import ROOT

READY_WITHIN_S = 60


@contextmanager
def serving(home: Path, port: int) -> Iterator[tuple[str, psutil.Process, float]]:
    """`assay serve` over `home`: its URL, its process, and the seconds until `/readyz` answered 200."""
    environment = os.environ | {"ASSAY_HOME": str(home), "ASSAY_PORT": str(port), "PYTHONPATH": str(ROOT)}
    log = home / "serve.log"
    began = time.perf_counter()
    with log.open("wb") as err:
        command = [sys.executable, "-m", "app", "serve"]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=err)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.perf_counter() - began > READY_WITHIN_S:
                raise RuntimeError(f"assay serve was not ready within {READY_WITHIN_S} s: {log.read_text()[-2000:]}")
            time.sleep(0.02)
        yield url, psutil.Process(process.pid), time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(timeout=60)


def bench_server(home: Path, asked: Sequence[str], port: int = 8765, starts: int = 3) -> dict[str, Any]:
    out: dict[str, Any] = {"help_s": round(median(_help() for _ in range(3)), 3)}
    ready = []
    for _ in range(starts):
        with serving(home, port) as (_, process, seconds):
            ready.append(seconds)
            at_start = resident_mb(process)
    out |= {"ready_s": round(median(ready), 2), "resident_mb_ready": at_start}
    with serving(home, port) as (url, process, _):
        out["overhead"] = overhead(url, asked)
        out["streams_200"] = asyncio.run(streams(url, asked, 200))
        out["resident_mb_after_streams"] = resident_mb(process)
        out["requests_10000"] = many(url, asked, process)
        out["torch_loaded"] = any("torch" in m.path for m in process.memory_maps())
    return out


def resident_mb(process: psutil.Process) -> int:
    return round(process.memory_info().rss / 2**20)


def overhead(url: str, asked: Sequence[str]) -> dict[str, float]:
    """Wall time of an answer beyond its stages: auth, graph, receipt, serialisation, loopback. Reading the reply is the client's."""
    walls, overs = [], []
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    for text in asked:
        body = json.dumps({"model": "assay", "messages": [{"role": "user", "content": text}]})
        began = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        content = reply.read()
        wall = (time.perf_counter() - began) * 1000
        if reply.status != 200:
            raise RuntimeError(f"The server answered {reply.status}: {content[:500]!r}")
        walls.append(wall)
        overs.append(wall - sum(json.loads(content)["assay"]["timings_ms"].values()))
    connection.close()
    return {"answer_p50_ms": round(median(walls), 1), "over_stages_p50_ms": round(median(overs), 1)}


async def streams(url: str, asked: Sequence[str], n: int) -> dict[str, Any]:
    """`n` answers streamed at once; each must end with [DONE] and hold no error. The first reason of a loss is told."""
    limits = httpx.Limits(max_connections=n)

    async def one(client: httpx.AsyncClient, text: str) -> str:
        body = {"model": "assay", "stream": True, "messages": [{"role": "user", "content": text}]}
        last, error = "", False
        async with client.stream("POST", "/v1/chat/completions", json=body) as reply:
            async for line in reply.aiter_lines():
                error = error or line == "event: error"
                last = line or last
        is_whole = reply.status_code == 200 and last == "data: [DONE]" and not error
        return "" if is_whole else f"status {reply.status_code}, error event {error}, last line {last[:200]!r}"

    async with httpx.AsyncClient(base_url=url, timeout=180, limits=limits) as client:
        began = time.perf_counter()
        asking = (one(client, asked[i % len(asked)]) for i in range(n))
        ended = await asyncio.gather(*asking, return_exceptions=True)
    lost = [repr(e) if isinstance(e, Exception) else e for e in ended if e != ""]
    out: dict[str, Any] = {"complete": n - len(lost), "dropped": len(lost)}
    return out | ({"first_reason": lost[0]} if lost else {}) | {"s": round(time.perf_counter() - began, 1)}


def many(url: str, asked: Sequence[str], process: psutil.Process, n: int = 10_000) -> dict[str, int]:
    """Resident memory before, after a tenth and after all of `n` searches, from eight connections."""

    async def run(n: int) -> int:
        waiting = iter(range(n))

        async def ask_on(client: httpx.AsyncClient) -> int:
            failed = 0
            for i in waiting:
                reply = await client.post("/v1/search", json={"query": asked[i % len(asked)], "k": 5})
                failed += reply.status_code != 200
            return failed

        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            return sum(await asyncio.gather(*(ask_on(client) for _ in range(8))))

    out = {"resident_mb_before": resident_mb(process)}
    failed = asyncio.run(run(n // 10))
    out["resident_mb_after_1000"] = resident_mb(process)
    began = time.perf_counter()
    failed += asyncio.run(run(n - n // 10))
    seconds = time.perf_counter() - began
    return out | {
        "resident_mb_after": resident_mb(process),
        "failed": failed,
        "searches_per_s": round((n - n // 10) / seconds),
    }


def _help() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "app", "--help"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
