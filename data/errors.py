"""Every error Assay raises on purpose.

    AssayError
    ├── UsageError              the caller can mend it            exit 2, HTTP 400
    │   ├── InvalidInput        a value is not allowed            HTTP 400
    │   ├── NotFound            no such thing, or not yours       HTTP 404
    │   ├── TooLarge            over a stated limit               HTTP 413
    │   ├── RefusedDocument     a file that cannot be read        HTTP 422
    │   └── MissingExtra        an optional package is absent     HTTP 501
    ├── AccessError
    │   ├── Unauthenticated     no key, or not a valid one        HTTP 401
    │   └── Forbidden           a valid key without the scope     HTTP 403
    └── InfrastructureError     not the caller's fault            exit 4, HTTP 503
        ├── Overloaded          try again later                   HTTP 429
        ├── ModelUnavailable    a model or its server is down     HTTP 503
        ├── DeadlineExceeded    a stage ran past its time limit   HTTP 503
        └── IndexDamaged        an index cannot be opened         rebuilt from the database

`app/errors.py` alone maps these to HTTP, `app/__main__.py` alone to exit codes.
"""


class AssayError(Exception):
    """Base of the tree. `message` says what was wrong and with which value; `next_step` what to do now."""

    code = "error"

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class UsageError(AssayError):
    code = "usage"


class InvalidInput(UsageError):
    """`field` names the argument, parameter or setting at fault."""

    code = "invalid_input"

    def __init__(self, message: str, *, field: str = "", next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.field = field


class NotFound(UsageError):
    code = "not_found"


class TooLarge(UsageError):
    code = "too_large"


class RefusedDocument(UsageError):
    """`reason` is a short machine-readable word: encrypted, corrupt, too_large, timeout, unsupported, ..."""

    code = "refused_document"

    def __init__(self, message: str, *, reason: str, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.reason = reason


class MissingExtra(UsageError):
    """An optional dependency is not installed; the message ends with the command that installs it."""

    code = "missing_extra"

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(
            f"This needs the package '{package}', which is not installed.",
            next_step=f"Install it with: .venv/bin/pip install -c constraints.txt -e '.[{extra}]'",
        )
        self.package = package
        self.extra = extra


class AccessError(AssayError):
    code = "access"


class Unauthenticated(AccessError):
    code = "unauthenticated"


class Forbidden(AccessError):
    code = "forbidden"


class InfrastructureError(AssayError):
    code = "infrastructure"


class Overloaded(InfrastructureError):
    """`retry_after_s` is the number of seconds after which trying again makes sense."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: int = 1, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after_s = retry_after_s


class ModelUnavailable(InfrastructureError):
    code = "model_unavailable"


class DeadlineExceeded(InfrastructureError):
    code = "deadline_exceeded"


class IndexDamaged(InfrastructureError):
    code = "index_damaged"
