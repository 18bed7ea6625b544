"""A trained tabular model in MLflow: parameters, figures with intervals, curves, pictures, search, contract, code, and the registered version.

Uses the client alone, no global state. The local database keeps artifacts in `mlartifacts` beside it.
"""

import csv
import io
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from data.errors import InfrastructureError
from data.tabular.mlflow_form import FOLDER, LOADER, example, inputs
from data.tabular.model import TabularModel
from finetune.tabular.config import TrackingConfig
from finetune.tabular.provenance import ROOT, requirements
from finetune.tabular.train import Trained

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # mlflow warns of its own type hints
    import mlflow.pyfunc

LONGEST_PARAMETER = 500
MOST_METRICS = 1000


class TrackingUnavailable(InfrastructureError):
    """The MLflow server or database does not answer."""

    code = "tracking_unavailable"


class TabularTracker:
    """`uri` is MLflow's tracking and registry URI: sqlite:////folder/mlflow.db or http://host:5000."""

    def __init__(self, uri: str, config: TrackingConfig) -> None:
        self._uri, self._config = uri, config

    def latest_version(self, name: str) -> int:
        """Of the registered model; 0 where there is none."""
        try:
            found = self._client().search_model_versions(f"name='{name}'")
        except (MlflowException, OSError) as error:
            raise self._unavailable(error) from error
        return max((int(one.version) for one in found), default=0)

    def log(
        self,
        trained: Trained,
        model: TabularModel,
        folder: Path,
        pictures: Mapping[str, bytes],
        curves: Mapping[str, Any],
    ) -> str:
        """Log the run and the saved model at `folder`; returns the run's id. Raises: TrackingUnavailable."""
        try:
            client = self._client()
            tags = {"assay.kind": "tabular", "assay.model": model.ref, "assay.digest": model.digest}
            tags |= {"assay.code": model.provenance["code"], "assay.data_sha256": model.provenance["data_sha256"]}
            tags |= {f"version.{name}": found for name, found in model.provenance["versions"].items()}
            run = client.create_run(self._experiment(client), run_name=model.ref, tags=tags).info.run_id
            self._log_numbers(client, run, trained)
            self._log_files(client, run, trained, pictures, curves)
            self._log_model(client, run, model, folder)
            client.set_terminated(run, "FINISHED")
            return run
        except (MlflowException, OSError) as error:
            raise self._unavailable(error) from error

    def register(self, run: str, model: TabularModel) -> str:
        """A new version of the registered model, with the alias; returns MLflow's number. Raises: TrackingUnavailable."""
        client = self._client()
        try:
            try:
                client.create_registered_model(model.name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            source = f"{client.get_run(run).info.artifact_uri}/{FOLDER}"
            tags = {"assay.version": model.version, "assay.digest": model.digest, "assay.kind": "tabular"}
            version = str(client.create_model_version(model.name, source, run_id=run, tags=tags).version)
            if self._config.alias:
                client.set_registered_model_alias(model.name, self._config.alias, version)
            return version
        except (MlflowException, OSError) as error:
            raise self._unavailable(error) from error

    def _log_numbers(self, client: MlflowClient, run: str, trained: Trained) -> None:
        now = int(time.time() * 1000)
        params = {f"config.{key}": value for key, value in _flat(trained.rows.config.model_dump(mode="json"))}
        params |= {f"param.{key}": str(value) for key, value in trained.candidate.params.items()}
        params |= {"kept": trained.model.kind, "n_rounds": str(trained.candidate.n_rounds)}
        client.log_batch(run, params=[Param(key, value[:LONGEST_PARAMETER]) for key, value in params.items()])
        metrics = [Metric(name, value, now, 0) for name, value in _numbers(trained) if value == value]
        for step, (fitted, scored) in enumerate(trained.candidate.curve, 1):
            metrics += [
                Metric("fitted_log_loss", fitted, now, step),
                Metric("scored_log_loss", scored, now, step),
            ]
        for start in range(0, len(metrics), MOST_METRICS):
            client.log_batch(run, metrics=metrics[start : start + MOST_METRICS])
        client.log_batch(run, tags=[RunTag(f"finding.{at}", str(one)) for at, one in enumerate(trained.findings)])

    def _log_files(
        self, client: MlflowClient, run: str, trained: Trained, pictures: Mapping[str, bytes], curves: Mapping[str, Any]
    ) -> None:
        with tempfile.TemporaryDirectory() as temporary:
            place = Path(temporary)
            (place / "pictures").mkdir()
            for name, content in pictures.items():
                (place / "pictures" / name).write_bytes(content)
            (place / "curves.json").write_text(json.dumps(curves))
            (place / "config.json").write_text(json.dumps(trained.rows.config.model_dump(mode="json"), indent=1))
            (place / "table.json").write_text(
                json.dumps(trained.rows.spec.model_dump(mode="json", exclude={"source"}), indent=1)
            )
            (place / "requirements.txt").write_text("\n".join(requirements()) + "\n")
            if (ROOT / "constraints.txt").is_file():
                (place / "constraints.txt").write_bytes((ROOT / "constraints.txt").read_bytes())
            for candidate in trained.candidates:
                if candidate.search:
                    (place / f"trials_{candidate.config.kind}.csv").write_text(_trials(candidate.search.trials))
            client.log_artifacts(run, str(place))

    def _log_model(self, client: MlflowClient, run: str, model: TabularModel, folder: Path) -> None:
        """MLflow's own form around the folder, so that `models:/name@alias` loads and serves anywhere."""
        with tempfile.TemporaryDirectory() as temporary:
            held = Path(temporary) / "held" / FOLDER
            held.parent.mkdir()
            held.symlink_to(folder.resolve(), target_is_directory=True)
            place = Path(temporary) / FOLDER
            mlflow.pyfunc.save_model(
                str(place),
                loader_module=LOADER,
                data_path=str(held),
                code_paths=[str(ROOT / "data")],
                signature=_signature(model),
                input_example=example(model) if len(model.reference) else None,
                pip_requirements=requirements(),
                metadata={"assay_ref": model.ref, "assay_digest": model.digest},
            )
            client.log_artifacts(run, str(place), FOLDER)

    def _client(self) -> MlflowClient:
        for name in ("alembic", "mlflow"):
            logging.getLogger(name).setLevel(logging.WARNING)
        if path := self._sqlite_path():
            path.parent.mkdir(parents=True, exist_ok=True)
        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)

    def _experiment(self, client: MlflowClient) -> str:
        if found := client.get_experiment_by_name(self._config.experiment):
            return found.experiment_id
        path = self._sqlite_path()
        where = (path.parent / "mlartifacts").resolve().as_uri() if path else None
        return client.create_experiment(self._config.experiment, artifact_location=where)

    def _sqlite_path(self) -> Path | None:
        return Path(self._uri.removeprefix("sqlite:///")) if self._uri.startswith("sqlite:///") else None

    def _unavailable(self, error: Exception) -> TrackingUnavailable:
        return TrackingUnavailable(
            f"MLflow at {self._uri} does not answer: {str(error).splitlines()[0]}",
            next_step="The model itself is saved. Mend ASSAY_MLFLOW_URI, or set tracking.enabled=false.",
        )


def _signature(model: TabularModel) -> ModelSignature:
    columns = [ColSpec(DataType[one["type"]], one["name"], required=one["required"]) for one in inputs(model)]
    outputs = [ColSpec(DataType.double, "score"), ColSpec(DataType.boolean, "positive")]
    return ModelSignature(inputs=Schema(columns), outputs=Schema(outputs))


def _numbers(trained: Trained) -> Iterator[tuple[str, float]]:
    for name, one in trained.model.baseline.items():
        yield from ((name, one.value), (f"{name}_low", one.low), (f"{name}_high", one.high))
    yield from ((f"folds_{name}", value) for name, value in trained.candidate.values.items())
    yield "threshold", trained.model.threshold
    yield "training_seconds", sum(one.seconds for one in trained.candidates)
    for part, n in trained.model.provenance["rows"].items():
        yield f"rows_{part}", float(n)


def _trials(trials: Any) -> str:
    names = sorted({name for one in trials for name in one.params})
    buffer = io.StringIO()
    written = csv.writer(buffer)
    written.writerow(["number", "state", "value", "seconds", *names])
    for one in trials:
        written.writerow(
            [one.number, one.state, one.value, round(one.seconds, 3), *(one.params.get(name, "") for name in names)]
        )
    return buffer.getvalue()


def _flat(section: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in section.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for at, one in enumerate(value):
                pairs += _flat(one, f"{prefix}{key}.{at}.")
        elif value is not None and value not in ("", [], {}):
            pairs.append((f"{prefix}{key}", str(value)))
    return pairs
