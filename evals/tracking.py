"""Logs a finished run to MLflow: what was asked, means with intervals, counts of errors, scores by sample. Never a document's words.

Uses the client alone, no global state. The local database keeps artifacts in `mlartifacts` beside it.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric as MlflowMetric
from mlflow.entities import Param, RunTag
from mlflow.exceptions import MlflowException

from data.errors import InfrastructureError
from data.records import EvalRow, EvalRun
from evals.summary import MetricSummary

EXPERIMENT = "assay-evals"
LONGEST_PARAMETER = 500


class EvalTracker:
    """`uri` is MLflow's tracking URI: sqlite:////folder/mlflow.db or http://host:5000."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def log(
        self,
        run: EvalRun,
        summaries: Mapping[str, MetricSummary],
        rows: Sequence[EvalRow],
        spent: Mapping[str, Any],
    ) -> str:
        """Return the id of the MLflow run. Raises: InfrastructureError when MLflow does not answer."""
        try:
            return self._log(run, summaries, rows, spent)
        except (MlflowException, OSError) as error:
            raise InfrastructureError(
                f"MLflow at {self._uri} does not answer: {str(error).splitlines()[0]}",
                next_step="The run itself is kept. Mend ASSAY_MLFLOW_URI, or run with --no-track.",
            ) from error

    def _log(
        self,
        run: EvalRun,
        summaries: Mapping[str, MetricSummary],
        rows: Sequence[EvalRow],
        spent: Mapping[str, Any],
    ) -> str:
        client = self._client()
        tags = {"assay.run": run.id, "assay.suite": run.suite, "assay.status": run.status, **run.versions}
        begun = client.create_run(self._experiment(client), run_name=f"{run.suite} {run.id}", tags=tags)
        now = int(time.time() * 1000)
        asked = {"suite": run.suite, "target": run.target} | {
            name: run.config.get(name) for name in ("samples_sha256", "target_digest", "repeats", "fresh", "scorers")
        }
        client.log_batch(
            begun.info.run_id,
            metrics=[MlflowMetric(name, value, now, 0) for name, value in _numbers(summaries, spent)],
            params=[Param(name, str(value)[:LONGEST_PARAMETER]) for name, value in asked.items()],
            tags=[RunTag("assay.n_rows", str(len(rows)))],
        )
        client.log_text(begun.info.run_id, "".join(_lines(rows)), "scores.jsonl")
        client.set_terminated(begun.info.run_id, "FINISHED" if run.status == "complete" else "FAILED")
        return begun.info.run_id

    def _client(self) -> MlflowClient:
        logging.getLogger("alembic").setLevel(logging.WARNING)
        if path := self._sqlite_path():
            path.parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def _experiment(self, client: MlflowClient) -> str:
        if found := client.get_experiment_by_name(EXPERIMENT):
            return found.experiment_id
        path = self._sqlite_path()
        where = (path.parent / "mlartifacts").resolve().as_uri() if path else None
        return client.create_experiment(EXPERIMENT, artifact_location=where)

    def _sqlite_path(self) -> Path | None:
        return Path(self._uri.removeprefix("sqlite:///")) if self._uri.startswith("sqlite:///") else None


def _numbers(summaries: Mapping[str, MetricSummary], spent: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, found in summaries.items():
        ends = {"": found.mean, "_low": found.low, "_high": found.high, "_n": found.n, "_errors": found.n_errors}
        yield from ((f"{name}{end}", float(value)) for end, value in ends.items() if value is not None)
    yield from ((name, float(value)) for name, value in spent.items() if isinstance(value, int | float))


def _lines(rows: Sequence[EvalRow]) -> Iterator[str]:
    for row in rows:
        scores = {score.scorer: score.value for score in row.scores}
        told = {"sample": row.sample_id, "repeat": row.repeat, "failed": bool(row.observation.error), **scores}
        yield json.dumps(told) + "\n"
