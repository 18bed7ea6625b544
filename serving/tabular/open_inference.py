"""Open Inference Protocol v2 and MLflow's `/invocations`, as plain dicts: rows out of requests, replies out of scores. Knows no server.

https://github.com/kserve/open-inference-protocol: a column is one input tensor of shape [n] or [n, 1]; `null` in `data` is a missing
value, and so is NaN: binary tensors have no null. MLflow: https://mlflow.org/docs/latest/genai/serving/custom-apps (dataframe_split, dataframe_records, instances, inputs).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from data.errors import InvalidInput

if TYPE_CHECKING:  # pandas
    from data.tabular.table_spec import Column
    from serving.tabular.predictor import Predictor, Scored

Rows = list[dict[str, Any]]
DATATYPES = {"number": "FP64", "integer": "INT64", "category": "BYTES", "boolean": "BOOL", "date": "BYTES"}
ACCEPTED = frozenset(
    {"BOOL", "BYTES", "FP16", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"}
)
MLFLOW_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def rows_of_tensors(inputs: Any) -> Rows:
    """Rows of the `inputs` of an inference request. Raises: InvalidInput naming the input."""
    if not isinstance(inputs, Sequence) or isinstance(inputs, str) or not inputs:
        raise InvalidInput(
            "There is no input tensor.",
            field="inputs",
            next_step="Send one per column; GET /v2/models/MODEL names them.",
        )
    columns: dict[str, list[Any]] = {}
    for at, tensor in enumerate(inputs):
        name, values = _column(at, tensor)
        if name in columns:
            raise InvalidInput(f"The input {name!r} comes twice.", field=f"inputs.{at}.name")
        columns[name] = values
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise InvalidInput(f"The inputs have different numbers of rows: {told}.", field="inputs")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def inferred(predictor: "Predictor", scored: "Scored", request_id: str = "") -> dict[str, Any]:
    """An inference response: `score` and `decision`, one value per row."""
    n = len(scored)
    return {
        "model_name": predictor.name,
        "model_version": predictor.version,
        "id": request_id,
        "outputs": [
            {"name": "score", "datatype": "FP64", "shape": [n], "data": scored.scores.tolist()},
            {"name": "decision", "datatype": "BOOL", "shape": [n], "data": scored.decisions.tolist()},
        ],
    }


def metadata(predictor: "Predictor", versions: Sequence[str]) -> dict[str, Any]:
    """A model metadata response: one input per column that the model reads, then those it may be sent besides."""
    spec = predictor.model.spec
    reads = predictor.model.features.columns
    others = [name for name in spec.columns if name not in (*reads, spec.target, spec.known_at)]
    return {
        "name": predictor.name,
        "versions": list(versions),
        "platform": f"assay_{predictor.model.kind}",
        "inputs": input_types(predictor, reads) + [_described(n, spec.columns[n], True) for n in others],
        "outputs": OUTPUT_TYPES,
    }


def input_types(predictor: "Predictor", names: Sequence[str]) -> list[dict[str, Any]]:
    columns = predictor.model.spec.columns
    return [_described(name, columns[name], columns[name].nullable) for name in names]


OUTPUT_TYPES = [
    {"name": "score", "datatype": "FP64", "shape": [-1]},
    {"name": "decision", "datatype": "BOOL", "shape": [-1]},
]


def rows_of_invocation(body: Any) -> Rows:
    """Rows of an MLflow scoring request. Raises: InvalidInput."""
    given = [form for form in MLFLOW_FORMS if isinstance(body, Mapping) and form in body]
    if len(given) != 1:
        raise InvalidInput(
            f"A request holds one of {', '.join(MLFLOW_FORMS)}; this one has {', '.join(given) or 'none'}.",
            field=given[0] if given else "dataframe_split",
        )
    content = body[given[0]]
    if given[0] == "dataframe_split":
        return _split_rows(content)
    if isinstance(content, Mapping):
        return _column_rows(content, given[0])
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise InvalidInput(f"{given[0]} is a list of JSON objects, one per row.", field=given[0])
    return content


def _column(at: int, tensor: Any) -> tuple[str, list[Any]]:
    if not isinstance(tensor, Mapping) or not isinstance(tensor.get("name"), str):
        raise InvalidInput("An input is an object with name, shape, datatype and data.", field=f"inputs.{at}")
    name, datatype, data = tensor["name"], tensor.get("datatype"), tensor.get("data")
    if datatype not in ACCEPTED:
        raise InvalidInput(
            f"The datatype of {name} is {datatype!r}.",
            field=f"inputs.{at}.datatype",
            next_step=f"There are: {', '.join(sorted(ACCEPTED))}.",
        )
    if not isinstance(data, list):
        raise InvalidInput(f"The data of {name} is a list of values, one per row.", field=f"inputs.{at}.data")
    values = [value[0] if isinstance(value, list) and len(value) == 1 else value for value in data]
    shape = tensor.get("shape")
    if shape not in ([len(values)], [len(values), 1]):
        raise InvalidInput(
            f"{name} has shape {shape!r} and {len(values)} values.",
            field=f"inputs.{at}.shape",
            next_step=f"A column of n rows has shape [n] or [n, 1]: [{len(values)}].",
        )
    if datatype == "BYTES":
        values = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
    else:
        values = [None if value != value else value for value in values]
    if wrong := [v for v in values if v is not None and not _is_of(datatype, v)]:
        raise InvalidInput(f"{name} is {datatype}; {wrong[0]!r} is not.", field=f"inputs.{at}.data")
    return name, values


def _is_of(datatype: str, value: Any) -> bool:
    """Only what would otherwise pass unseen; the row's contract tells the rest, with what is allowed."""
    if datatype == "BYTES":
        return isinstance(value, str)
    if datatype == "BOOL":
        return isinstance(value, bool) or value in (0, 1)
    return not isinstance(value, bool)


def _described(name: str, column: "Column", optional: bool) -> dict[str, Any]:
    return {
        "name": name,
        "datatype": DATATYPES[column.kind],
        "shape": [-1],
        "parameters": {"kind": column.kind, "optional": optional},
    }


def _split_rows(content: Any) -> Rows:
    columns, data = (content.get("columns"), content.get("data")) if isinstance(content, Mapping) else (None, None)
    if not isinstance(columns, list) or not isinstance(data, list):
        raise InvalidInput("dataframe_split has `columns` and `data`.", field="dataframe_split")
    if len(set(map(str, columns))) != len(columns):
        raise InvalidInput("A column comes twice.", field="dataframe_split.columns")
    for at, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(columns):
            raise InvalidInput(
                f"Row {at} has not one value for each of {len(columns)} columns.", field=f"dataframe_split.data.{at}"
            )
    return [dict(zip(map(str, columns), row, strict=True)) for row in data]


def _column_rows(content: Mapping[str, Any], field: str) -> Rows:
    lengths = {len(values) if isinstance(values, list) else -1 for values in content.values()}
    if len(lengths) != 1 or -1 in lengths:
        raise InvalidInput(f"{field} holds a list for each column, all of one length.", field=field)
    return [dict(zip(content, row, strict=True)) for row in zip(*content.values(), strict=True)]
