"""The MLflow side of a run: parameters, curve, artifacts, and the registered version with the alias `challenger`.

Uses the client alone, no global state. The local database keeps artifacts in `var/mlartifacts`, beside it.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException, RestException
from mlflow.utils.async_logging.run_operations import RunOperations

from data.errors import InfrastructureError
from finetune.kinds import Measured
from finetune.launch import tracking_uri
from finetune.recipe import AnyRecipe, recipe_digest

ALIAS = "challenger"
LONGEST_PARAMETER = 500
FLUSH_S = 2.0
MOST_METRICS = 1000
"""MLflow's own limit for one batch."""


class TrackingUnavailable(InfrastructureError):
    """The MLflow server or database does not answer."""

    code = "tracking_unavailable"


class TrackedRun:
    """One MLflow run, open from construction to `finish`."""

    def __init__(self, recipe: AnyRecipe, environment: Mapping[str, str]) -> None:
        uri = tracking_uri(recipe.tracking.uri)
        self._name = recipe.tracking.register_as or recipe.name
        self._pending: list[Metric] = []
        self._sending: list[RunOperations | None] = []
        self._sent_at = time.time()
        try:
            self._client = _client(uri)
            experiment = _experiment(self._client, recipe.tracking.experiment, uri)
            tags = {"kind": recipe.kind, "recipe_sha256": recipe_digest(recipe), **environment}
            self._run = self._client.create_run(experiment, run_name=recipe.name, tags=tags)
        except (MlflowException, RestException, OSError) as error:
            raise TrackingUnavailable(
                f"MLflow at {uri} does not answer: {str(error).splitlines()[0]}",
                next_step="Mend tracking.uri or MLFLOW_TRACKING_URI, or set tracking.enabled=false.",
            ) from error
        params = [Param(key, value[:LONGEST_PARAMETER]) for key, value in _flat(recipe.model_dump(mode="json"))]
        self._client.log_batch(self.id, params=params)

    @property
    def id(self) -> str:
        return self._run.info.run_id

    def log(self, point: Mapping[str, float]) -> None:
        """One point of the curve. Points are sent every FLUSH_S seconds, in the background: training does not wait."""
        now, step = time.time(), int(point.get("step", 0))
        self._pending += [Metric(name, value, int(now * 1000), step) for name, value in point.items() if name != "step"]
        if now - self._sent_at >= FLUSH_S:
            self._send()
            self._sent_at = now

    def _send(self) -> None:
        for start in range(0, len(self._pending), MOST_METRICS):
            batch = self._pending[start : start + MOST_METRICS]
            self._sending.append(self._client.log_batch(self.id, metrics=batch, synchronous=False))
        self._pending = []

    def _wait(self) -> None:
        self._send()
        for operation in self._sending:
            if operation is not None:
                operation.wait()
        self._sending = []

    def log_results(self, metrics: Mapping[str, Measured], folder: Path, tags: Mapping[str, str]) -> None:
        """Final metrics with their intervals, every file of the adapter's folder."""
        self._wait()
        now = int(time.time() * 1000)
        flat = {f"{name}{end}": getattr(m, field) for name, m in metrics.items() for end, field in _ENDS}
        self._client.log_batch(
            self.id,
            metrics=[Metric(name, value, now, 0) for name, value in flat.items() if value == value],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        self._client.log_artifacts(self.id, str(folder), "adapter")

    def register(self, tags: Mapping[str, str]) -> str:
        """Register the logged adapter as a new version, point `challenger` at it, return `name@version`."""
        try:
            self._client.create_registered_model(self._name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{self._run.info.artifact_uri}/adapter"
        version = self._client.create_model_version(self._name, source, run_id=self.id, tags=dict(tags)).version
        self._client.set_registered_model_alias(self._name, ALIAS, version)
        return f"{self._name}@{version}"

    def finish(self, status: str = "FINISHED") -> None:
        """`status` is MLflow's word: FINISHED, FAILED or KILLED."""
        self._wait()
        self._client.set_terminated(self.id, status)


_ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))


def _client(uri: str) -> MlflowClient:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if path := _sqlite_path(uri):
        path.parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _experiment(client: MlflowClient, name: str, uri: str) -> str:
    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    path = _sqlite_path(uri)
    where = (path.parent / "mlartifacts").resolve().as_uri() if path else None
    return client.create_experiment(name, artifact_location=where)


def _sqlite_path(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _flat(section: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in section.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}.")
        elif value is not None:
            pairs.append((f"{prefix}{key}", str(value)))
    return pairs
