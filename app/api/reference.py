"""`/docs`: the OpenAPI document as one page without scripts: works offline and under a strict policy."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape

FOLDER = Path(__file__).parent
METHODS = ("get", "post", "put", "patch", "delete")
router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    page = getattr(request.app.state, "reference", None)
    if page is None:
        page = request.app.state.reference = render(request.app.openapi())
    return HTMLResponse(page, headers={"content-security-policy": policy()})


def render(openapi: dict[str, Any]) -> str:
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=select_autoescape(default=True))
    template = environment.get_template("reference.html")
    routes = [
        _route(path, method, item[method], openapi)
        for path, item in openapi["paths"].items()
        for method in METHODS
        if method in item
    ]
    return template.render(info=openapi["info"], routes=routes, style=_style())


def policy() -> str:
    """Nothing may load; only the page's own style sheet applies."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"


def _style() -> str:
    return (FOLDER / "reference.css").read_text()


def _route(path: str, method: str, operation: dict[str, Any], openapi: dict[str, Any]) -> dict[str, Any]:
    bodies = operation.get("requestBody", {}).get("content", {})
    return {
        "path": path,
        "method": method.upper(),
        "tag": (operation.get("tags") or [""])[0],
        "description": operation.get("description") or operation.get("summary", ""),
        "parameters": [
            _field(p["name"], p["schema"], p.get("required", False)) for p in operation.get("parameters", [])
        ],
        "bodies": [{"type": kind, "fields": _fields(body["schema"], openapi)} for kind, body in bodies.items()],
        "statuses": sorted(operation["responses"]),
    }


def _fields(schema: dict[str, Any], openapi: dict[str, Any]) -> list[dict[str, Any]]:
    schema = _resolved(schema, openapi)
    required = schema.get("required", ())
    return [_field(name, field, name in required) for name, field in schema.get("properties", {}).items()]


def _field(name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    return {
        "name": name,
        "type": _type(schema),
        "required": required,
        "default": schema.get("default"),
        "description": schema.get("description", ""),
    }


def _resolved(schema: dict[str, Any], openapi: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return openapi["components"]["schemas"][name] if name else schema


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " | ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_type(schema['items'])}"
    return schema.get("type", "any")
