"""What every verb shares: opening the product, who is asking, and printing for a person or a machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data.records import Principal

if TYPE_CHECKING:
    from app.assay import Assay

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Tenant = Annotated[str, typer.Option(help="The tenant to act in.")]
Groups = Annotated[str, typer.Option(help="Groups, separated by commas.")]
Collection = Annotated[str, typer.Option("--collection", "-c", help="The collection.")]


@contextmanager
def opened() -> Iterator["Assay"]:
    """The product, opened from the environment's settings and closed at the end."""
    from app.settings import load_settings
    from app.telemetry import configure_logging
    from app.wiring import open_assay

    settings = load_settings()
    configure_logging("warning")
    assay = open_assay(settings)
    try:
        yield assay
    finally:
        assay.close()


def principal(tenant: str, groups: str) -> Principal:
    return Principal(tenant=tenant, groups=names(groups), subject="cli")


def names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def print_json(value: Any) -> None:
    """One JSON document on standard output; pydantic models and dataclasses welcome."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.flush()


def print_json_line(value: Any) -> None:
    """One line of JSON, flushed at once: for streams that another program follows."""
    import orjson

    sys.stdout.buffer.write(orjson.dumps(value, default=_plain) + b"\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, frozenset | set | tuple):
        return sorted(value) if isinstance(value, frozenset | set) else list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
