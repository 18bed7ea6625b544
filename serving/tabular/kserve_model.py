"""The predictor behind KServe's own model server: python -m serving.tabular.kserve_model --model_dir /mnt/models --model_name claims

V1 (`instances`) and the Open Inference Protocol v2 over REST and gRPC. Importing this loads kserve (seconds): the API never does.
A row that breaks the contract is the client's error, 400 in this protocol, with the same words as the API's 422.
"""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kserve
from kserve import model_server
from kserve.errors import InvalidInput as KServeInvalidInput
from kserve.protocol.infer_type import InferInput, InferOutput, InferRequest, InferResponse
from prometheus_client import REGISTRY

from data.errors import AssayError, InvalidInput
from data.tabular.model_files import load_model
from serving.tabular.open_inference import OUTPUT_TYPES, inferred, input_types, rows_of_invocation, rows_of_tensors
from serving.tabular.prediction_metrics import PredictionMetrics
from serving.tabular.predictor import Predictor, Scored
from serving.tabular.row_contract import Row, RowsRefused


class TabularKServeModel(kserve.Model):
    """Loads one saved model; its files are checked against their hashes, and against `digest` where one is given."""

    def __init__(self, name: str, folder: Path, *, digest: str = "", metrics: PredictionMetrics | None = None) -> None:
        super().__init__(name)
        self._folder = folder
        self._digest = digest
        self._metrics = metrics or PredictionMetrics()
        self._predictor: Predictor | None = None

    def load(self) -> bool:
        """Raises: NotFound; TamperedModel. A server that cannot load its model does not start."""
        self._predictor = Predictor(load_model(self._folder, digest=self._digest))
        self.ready = True
        return self.ready

    @property
    def predictor(self) -> Predictor:
        if self._predictor is None:
            self.load()
        return self._predictor

    def predict(self, payload: Any, headers: Mapping[str, str] | None = None) -> Any:
        """Raises: kserve's InvalidInput, naming every wrong field."""
        try:
            if isinstance(payload, InferRequest):
                return self._inferred(payload)
            return self._predicted(payload)
        except AssayError as error:
            raise KServeInvalidInput(str(error)) from error

    def get_input_types(self) -> list[dict[str, Any]]:
        return input_types(self.predictor, self.predictor.model.features.columns)

    def get_output_types(self) -> list[dict[str, Any]]:
        return OUTPUT_TYPES

    def _inferred(self, request: InferRequest) -> InferResponse:
        rows = rows_of_tensors([_tensor(one) for one in request.inputs])
        told = inferred(self.predictor, self._scored(rows), request.id or "")
        wanted = {one.name for one in request.request_outputs or ()}
        outputs = [InferOutput(**one) for one in told["outputs"] if not wanted or one["name"] in wanted]
        return InferResponse(
            response_id=request.id or "",
            model_name=self.name,
            model_version=self.predictor.version,
            infer_outputs=outputs,
            from_grpc=request.from_grpc,
            use_binary_outputs=request.use_binary_outputs,
            requested_outputs=request.request_outputs,
        )

    def _predicted(self, body: Any) -> dict[str, Any]:
        """KServe's V1: `instances` in, `predictions` out."""
        scored = self._scored(rows_of_invocation(body))
        rows = zip(scored.scores.tolist(), scored.decisions.tolist(), strict=True)
        told = [{"score": score, "decision": decision} for score, decision in rows]
        return {"predictions": told, "model_version": self.predictor.version}

    def _scored(self, rows: list[Row]) -> Scored:
        if not rows:
            raise InvalidInput("There is no row.", field="instances")
        began = time.perf_counter()
        try:
            scored = self.predictor.score_rows(rows)
        except RowsRefused:
            self._metrics.refused(self.predictor.name, self.predictor.version, len(rows))
            raise
        self._metrics.scored(self.predictor, scored, time.perf_counter() - began)
        return scored


def _tensor(given: InferInput) -> dict[str, Any]:
    """As it stands in JSON: binary tensors and gRPC's come as bytes or arrays."""
    data = list(given.data or ())
    if not data:
        data = given.as_numpy().reshape(-1).tolist()
    return {"name": given.name, "datatype": given.datatype, "shape": list(given.shape), "data": data}


def main() -> None:
    parser = argparse.ArgumentParser(parents=[model_server.parser], description=__doc__)
    parser.add_argument("--model_dir", type=Path, default=Path("/mnt/models"), help="a saved model's folder")
    parser.add_argument("--model_digest", default="", help="refuse any other model than this one")
    given, _ = parser.parse_known_args()
    metrics = PredictionMetrics()
    REGISTRY.register(metrics)
    model = TabularKServeModel(given.model_name, given.model_dir, digest=given.model_digest, metrics=metrics)
    model.load()
    kserve.ModelServer(enable_latency_logging=False).start([model])


if __name__ == "__main__":
    main()
