"""The bulk run as a Prefect flow: python -m serving.tabular.batch_flow MODEL_FOLDER SOURCE RESULT

score_files(str(folder), ["claims-01.parquet", ...], "scores")      # a flow: retries, state, run history
score_files.serve(name="nightly", cron="0 3 * * *", parameters={...})

One task per partition. What makes a run idempotent, resumable and cached is `serving.tabular.batch`, on the disk: a task that runs
again on the same plan finds its result, or goes on where it stopped. Importing this loads prefect (seconds).
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_API_URL, temporary_settings

from data.errors import AssayError
from data.tabular.model_files import load_model
from serving.tabular.batch import BatchConfig, score_partition
from serving.tabular.partitions import partitions, result_name
from serving.tabular.predictor import Predictor
from serving.tabular.prefect_server import local_api


@lru_cache(maxsize=4)
def _predictor(folder: str, digest: str) -> Predictor:
    return Predictor(load_model(Path(folder), digest=digest))


def _is_worth_again(task: Any, run: Any, state: Any) -> bool:
    """Broken rows stay broken; a disk or a network may come back."""
    try:
        state.result()
    except AssayError:
        return False
    except Exception:
        return True
    return False


@task(retries=2, retry_delay_seconds=5, retry_condition_fn=_is_worth_again, cache_policy=NO_CACHE, persist_result=False)
def score_one(folder: str, digest: str, source: str, result: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Read, check, score and write one partition."""
    report = score_partition(_predictor(folder, digest), Path(source), Path(result), BatchConfig(**settings))
    told = "was there already" if report.is_cached else f"{report.n_chunks_resumed} chunks were there already"
    get_run_logger().info("%s: %d rows scored, %s", report.result, report.n_scored, told)
    return asdict(report)


@flow(name="score tabular partitions", log_prints=False)
def score_files(
    folder: str, sources: list[str], results: str, settings: dict[str, Any] | None = None, digest: str = ""
) -> list[dict[str, Any]]:
    """Score every partition; one that fails stops no other, and fails the run at the end."""
    found = partitions(sources)
    running = [
        score_one.with_options(name=f"score {one.name}").submit(
            folder, digest, str(one), str(Path(results) / result_name(one)), settings or {}
        )
        for one in found
    ]
    for one in running:
        one.wait()
    return [one.result() for one in running]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="a saved model's folder")
    parser.add_argument("sources", nargs="+", help="csv or parquet files, or folders of them")
    parser.add_argument("results", help="the folder that the results are written to")
    parser.add_argument("--digest", default="", help="refuse any other model than this one")
    parser.add_argument("--settings", type=json.loads, default={}, help="fields of BatchConfig, as JSON")
    given = parser.parse_args()
    with _api():
        for report in score_files(given.folder, given.sources, given.results, given.settings, given.digest):
            print(json.dumps(report))


@contextmanager
def _api() -> Iterator[None]:
    """The server of PREFECT_API_URL, or one that lives as long as the run."""
    if PREFECT_API_URL.value():
        yield
        return
    with local_api() as url, temporary_settings({PREFECT_API_URL: url}):
        yield


if __name__ == "__main__":
    main()
