"""The one place that maps errors to HTTP, in OpenAI's shape: `{"error": {message, type, code, param}}`."""

from dataclasses import dataclass, field

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from data.errors import (
    AssayError,
    DeadlineExceeded,
    Forbidden,
    InfrastructureError,
    InvalidInput,
    MissingExtra,
    NotFound,
    Overloaded,
    RefusedDocument,
    TooLarge,
    Unauthenticated,
    UsageError,
)

INVALID = "invalid_request_error"
RETRY_AFTER_S = 5
"""What a 503 suggests when nothing better is known."""

STATUS: tuple[tuple[type[AssayError], int, str], ...] = (  # the first class that fits wins
    (RefusedDocument, 422, INVALID),
    (TooLarge, 413, INVALID),
    (NotFound, 404, INVALID),
    (MissingExtra, 501, "server_error"),
    (UsageError, 400, INVALID),
    (Unauthenticated, 401, "authentication_error"),
    (Forbidden, 403, "permission_error"),
    (Overloaded, 429, "rate_limit_error"),
    (DeadlineExceeded, 503, "timeout_error"),
    (InfrastructureError, 503, "service_unavailable_error"),
)
OF_STATUS = {  # errors that the framework raises by number
    400: (INVALID, "invalid_input"),
    401: ("authentication_error", "unauthenticated"),
    403: ("permission_error", "forbidden"),
    404: (INVALID, "not_found"),
    405: (INVALID, "method_not_allowed"),
    408: (INVALID, "request_timeout"),
    413: (INVALID, "too_large"),
    415: (INVALID, "unsupported_media_type"),
    422: (INVALID, "invalid_schema"),
}
MESSAGE_OF_STATUS = {
    404: "There is no such path. See /docs for the paths there are.",
    405: "This path does not take this method. See /docs for the methods it takes.",
}


class FieldProblem(BaseModel):
    """One wrong field of one row."""

    row: int
    field: str
    message: str


class ErrorDetail(BaseModel):
    message: str
    type: str
    code: str
    param: str | None
    problems: list[FieldProblem] | None = None
    """All wrong fields, where rows were refused."""


class ErrorBody(BaseModel):
    """Every refusal and failure looks like this, as with OpenAI."""

    error: ErrorDetail


@dataclass(frozen=True)
class HttpError:
    """An error as HTTP shows it."""

    status: int
    type: str
    code: str
    message: str
    param: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    problems: tuple[dict, ...] = ()

    @property
    def body(self) -> dict:
        told = {"message": self.message, "type": self.type, "code": self.code, "param": self.param}
        return {"error": told | ({"problems": list(self.problems)} if self.problems else {})}


def http_error(error: Exception) -> HttpError:
    """What HTTP shows of `error`; nothing of one that nobody foresaw: its traceback is in the log."""
    match error:
        case AssayError():
            return _of_assay(error)
        case RequestValidationError():
            return _of_validation(error)
        case HTTPException():
            return _of_framework(error)
    return HttpError(
        500,
        "server_error",
        "internal_error",
        "The server failed in a way nobody foresaw. Look for the X-Request-ID of this response in its log.",
    )


def _of_assay(error: AssayError) -> HttpError:
    status, kind = next(((s, k) for cls, s, k in STATUS if isinstance(error, cls)), (500, "server_error"))
    code, param, headers, problems = error.code, None, {}, ()
    if isinstance(error, InvalidInput):
        param = error.field or None
        problems = tuple(vars(problem) for problem in getattr(error, "problems", ()))  # of refused rows
        status = 422 if problems else status
    elif isinstance(error, RefusedDocument):
        code = error.reason
    elif isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, InfrastructureError):
        headers["Retry-After"] = str(getattr(error, "retry_after_s", RETRY_AFTER_S))
    return HttpError(status, kind, code, str(error), param, headers, problems)


def _of_validation(error: RequestValidationError) -> HttpError:
    problems = error.errors()
    if any(p["type"] == "json_invalid" for p in problems):
        reason = problems[0].get("ctx", {}).get("error") or problems[0]["msg"]
        return HttpError(400, INVALID, "invalid_json", f"The request body is not valid JSON: {reason}.")
    told = "; ".join(_told(p) for p in problems[:5])
    return HttpError(
        422, INVALID, "invalid_schema", f"The request does not fit the schema: {told}.", _param(problems[0])
    )


def _told(problem: dict) -> str:
    return f"{_param(problem) or 'body'}: {problem['msg']}"


def _param(problem: dict) -> str | None:
    return ".".join(str(part) for part in problem["loc"][1:]) or None


def _of_framework(error: HTTPException) -> HttpError:
    kind, code = OF_STATUS.get(error.status_code, (INVALID if error.status_code < 500 else "server_error", "error"))
    message = MESSAGE_OF_STATUS.get(error.status_code, str(error.detail))
    return HttpError(error.status_code, kind, code, message, headers=dict(error.headers or {}))
