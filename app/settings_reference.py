"""Writes docs/settings.md from the settings' own docstrings: python -m app.settings_reference > docs/settings.md"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import to_json

from app.settings import variables

HEAD = """\
# Settings

Written by `python -m app.settings_reference > docs/settings.md` from the docstrings in the code; a test keeps it current.

Everything is set by environment variables, such as `ASSAY_PORT=9000`, or with two underscores inside a group:
`ASSAY_LLM__MODEL=x`. A group can also be given whole, as JSON: `ASSAY_LLM='{"model": "x"}'`; its parts win over it. An empty
variable is as good as none. An unknown `ASSAY_*` variable is an error, so that a misspelling never passes for a setting.

Kubernetes makes variables of its own for a Service (`ASSAY_PORT=tcp://...` for one named `assay`): set
`enableServiceLinks: false` on the pod.
"""
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def reference() -> str:
    """The whole page, as Markdown."""
    groups = groupby(sorted(variables(), key=_group), key=_group)
    return HEAD + "".join(f"\n## {_title(group)}\n\n{_table(list(members))}" for group, members in groups)


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The docstring under each field of `model`."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def _group(variable: tuple[str, type[BaseModel], str]) -> str:
    """What a variable is listed under; empty for those of no group."""
    return variable[0].rpartition("__")[0]


def _title(group: str) -> str:
    return f"`{group}__...`" if group else "The process"


def _table(members: list[tuple[str, type[BaseModel], str]]) -> str:
    rows = "".join(f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in _rows(members))
    return f"| variable | default | meaning |\n|---|---|---|\n{rows}"


def _rows(members: list[tuple[str, type[BaseModel], str]]) -> Iterator[tuple[str, str, str]]:
    for name, model, field in members:
        info, told = model.model_fields[field], docstrings(model)[field].replace("|", "\\|").replace("\n", " ")
        if isinstance(info.default, BaseModel):
            yield name, "see below", told
        else:
            yield name, _default(info), " ".join([told, *_allowed(info)])


def _default(info: FieldInfo) -> str:
    if isinstance(info.default, SecretStr) or info.default == "":
        return "empty"
    if not isinstance(info.default, str | int | float | tuple | bool):
        return "the checkout"  # a path on the machine that wrote the page
    return f"`{info.default if isinstance(info.default, str) else to_json(info.default).decode()}`"


def _allowed(info: FieldInfo) -> Iterator[str]:
    if get_origin(info.annotation) is Literal:
        yield f"One of {', '.join(f'`{value}`' for value in get_args(info.annotation))}."
    limits = [
        f"{word} {getattr(rule, kind)}"
        for rule in info.metadata
        for kind, word in LIMITS.items()
        if hasattr(rule, kind)
    ]
    if limits:
        yield f"{' and '.join(limits).capitalize()}."


if __name__ == "__main__":
    print(reference(), end="")
