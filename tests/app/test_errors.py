import ast
from pathlib import Path

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.errors import http_error
from app.settings import ROOT
from data import errors

PACKAGES = ("app", "finetune", "retrieval", "evals", "prompts", "data", "serving")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.UsageError("x"), 400, "usage"),
        (errors.InvalidInput("x", field="k"), 400, "invalid_input"),
        (errors.Unauthenticated("x"), 401, "unauthenticated"),
        (errors.Forbidden("x"), 403, "forbidden"),
        (errors.NotFound("x"), 404, "not_found"),
        (errors.TooLarge("x"), 413, "too_large"),
        (errors.RefusedDocument("x", reason="encrypted"), 422, "encrypted"),
        (errors.Overloaded("x", retry_after_s=9), 429, "overloaded"),
        (errors.MissingExtra("ray", extra="ray"), 501, "missing_extra"),
        (errors.InfrastructureError("x"), 503, "infrastructure"),
        (errors.ModelUnavailable("x"), 503, "model_unavailable"),
        (errors.DeadlineExceeded("x"), 503, "deadline_exceeded"),
        (errors.IndexDamaged("x"), 503, "index_damaged"),
        (ZeroDivisionError("secret detail"), 500, "internal_error"),
    ],
)
def test_every_error_has_its_status_and_code(error, status, code):
    shown = http_error(error)
    assert (shown.status, shown.code) == (status, code)


def test_every_error_of_the_tree_is_mapped_on_purpose():
    """Each is a user's, an access or an infrastructure error; read from the sources, whatever was imported before."""
    found = {
        (path.relative_to(ROOT), made.name)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "(AssayError)" in (text := path.read_text("utf-8"))
        for made in ast.walk(ast.parse(text))
        if isinstance(made, ast.ClassDef) and "AssayError" in map(ast.unparse, made.bases)
    }
    assert found == {(Path("data/errors.py"), kind) for kind in ("UsageError", "AccessError", "InfrastructureError")}


def test_the_body_has_openais_shape_and_names_the_parameter():
    shown = http_error(errors.InvalidInput("k is 0.", field="k", next_step="Use 1 or more."))
    assert shown.body == {
        "error": {
            "message": "k is 0. Use 1 or more.",
            "type": "invalid_request_error",
            "code": "invalid_input",
            "param": "k",
        }
    }


def test_an_unforeseen_error_shows_nothing_of_itself():
    assert "secret" not in http_error(ValueError("secret")).message


def test_try_again_errors_say_when():
    assert http_error(errors.Overloaded("x", retry_after_s=9)).headers == {"Retry-After": "9"}
    assert http_error(errors.ModelUnavailable("x")).headers == {"Retry-After": "5"}


def test_a_missing_key_says_which_scheme_to_use():
    assert http_error(errors.Unauthenticated("x")).headers == {"WWW-Authenticate": "Bearer"}


def test_malformed_json_is_400_and_a_wrong_schema_422_with_its_path():
    malformed = RequestValidationError(
        [{"type": "json_invalid", "loc": ("body", 3), "msg": "x", "ctx": {"error": "no"}}]
    )
    wrong = RequestValidationError(
        [{"type": "missing", "loc": ("body", "messages", 0, "role"), "msg": "Field required"}]
    )
    assert (http_error(malformed).status, http_error(malformed).code) == (400, "invalid_json")
    assert (http_error(wrong).status, http_error(wrong).param) == (422, "messages.0.role")


@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (405, "method_not_allowed"), (413, "too_large")])
def test_errors_of_the_framework_get_the_same_shape(status, code):
    assert http_error(HTTPException(status)).code == code
