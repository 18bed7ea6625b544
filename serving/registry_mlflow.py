"""The MLflow model registry as an `AdapterRegistry`. Importing this loads mlflow (seconds): commands do, the API does not."""

from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from data.errors import InfrastructureError
from serving.registry import RegisteredAdapter


class MlflowRegistry:
    """`uri` is MLflow's tracking and registry URI, such as sqlite:////folder/mlflow.db or http://host:5000."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def adapters(self) -> list[RegisteredAdapter]:
        found = []
        try:
            for model in self._client.search_registered_models():
                by_version: dict[str, list[str]] = {}
                for alias, version in model.aliases.items():
                    by_version.setdefault(str(version), []).append(alias)
                for v in sorted(
                    self._client.search_model_versions(f"name='{model.name}'"), key=lambda v: int(v.version)
                ):
                    aliases = tuple(sorted(by_version.get(str(v.version), [])))
                    found.append(RegisteredAdapter(model.name, str(v.version), v.source, aliases))
        except MlflowException as error:
            raise self._failed(error) from error
        return found

    def folder(self, adapter: RegisteredAdapter) -> Path:
        """Files of a local store are used where they lie; those of a remote one are downloaded."""
        try:
            uri = self._client.get_model_version_download_uri(adapter.name, adapter.version)
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, tracking_uri=self._uri))
        except (MlflowException, OSError) as error:
            raise InfrastructureError(
                f"The files of {adapter.ref} cannot be had from {adapter.source}: {error}.",
                next_step="Are they still where the training run left them?",
            ) from error

    def set_alias(self, name: str, alias: str, version: str) -> None:
        try:
            self._client.set_registered_model_alias(name, alias, version)
        except MlflowException as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> InfrastructureError:
        return InfrastructureError(
            f"The model registry at {self._uri} failed: {str(error)[:300]}.", next_step="Check ASSAY_MLFLOW_URI."
        )
