"""Ready-made responses: JSON written once by orjson, errors in OpenAI's shape."""

from typing import Any

import orjson
from fastapi.responses import Response
from pydantic import BaseModel

from app.errors import HttpError

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def encode(value: Any) -> bytes:
    """JSON bytes; records inside become what pydantic makes of them, sets become sorted lists."""
    return orjson.dumps(value, default=_plain, option=OPTIONS)


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encode(value), status, headers, media_type="application/json")


def error_reply(error: HttpError) -> Response:
    return json_reply(error.body, error.status, error.headers)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return orjson.Fragment(value.model_dump_json())
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
