"""Prompts are files: `templates/<name>@<version>.md` with front matter. A change is a new version, and has a new hash."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from data.errors import InvalidInput, NotFound

TEMPLATES = Path(__file__).parent / "templates"
VARIABLE = re.compile(r"\{\{ *(\w+) *\}\}")
BRACES = re.compile(r"\{\{.{0,40}|.{0,40}\}\}")
ROLE = re.compile(r"^## (system|user|assistant)\n", re.MULTILINE)


class FrontMatter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    owner: str
    description: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Prompt:
    """`sha256` covers the whole file, so two prompts with equal hashes say the same."""

    name: str
    version: int
    inputs: tuple[str, ...]
    sha256: str
    messages: tuple[tuple[str, str], ...]

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"

    def render(self, **values: str) -> list[tuple[str, str]]:
        """Return (role, text) messages. Raises: InvalidInput for a missing or an unknown variable."""
        if missing := set(self.inputs) - set(values):
            raise InvalidInput(f"The prompt {self.ref} needs {', '.join(sorted(missing))}.", field="inputs")
        if unknown := set(values) - set(self.inputs):
            raise InvalidInput(
                f"The prompt {self.ref} has no input {', '.join(sorted(unknown))}; it takes {', '.join(self.inputs)}.",
                field="inputs",
            )
        return [(role, VARIABLE.sub(lambda match: values[match[1]], text)) for role, text in self.messages]


@cache
def load_prompt(name: str, version: int | None = None, folder: Path = TEMPLATES) -> Prompt:
    """Load one version of a prompt, the newest by default. Raises: NotFound, InvalidInput for a malformed file."""
    versions = {_version(path): path for path in folder.glob(f"{name}@*.md")}
    if not versions or (version is not None and version not in versions):
        known = ", ".join(sorted(path.stem for path in folder.glob("*@*.md")))
        wanted = f"{name}@{version}" if version is not None else name
        raise NotFound(f"There is no prompt {wanted!r}.", next_step=f"There are: {known}.")
    return _parsed(versions[version if version is not None else max(versions)])


def _version(path: Path) -> int:
    number = path.stem.split("@", 1)[1]
    if not number.isdecimal():
        raise _malformed(path, f"its version {number!r} is no whole number", "Name it <name>@<number>.md.")
    return int(number)


def _parsed(path: Path) -> Prompt:
    text = path.read_text(encoding="utf-8")
    front, body = _front_matter(path, text)
    before, *parts = ROLE.split(body)
    messages = tuple((role, said.strip()) for role, said in zip(parts[::2], parts[1::2], strict=True))
    if before.strip() or not messages or not all(said for _, said in messages):
        raise _malformed(path, "text must stand under '## system', '## user' or '## assistant'", "Add the heading.")
    if f"{front.name}@{front.version}" != path.stem:
        raise _malformed(
            path, f"it says that it is {front.name}@{front.version}", "Let front matter and file name agree."
        )
    if stray := next((said for _, said in messages if BRACES.search(VARIABLE.sub("", said))), None):
        raise _malformed(
            path, f"braces that are no variable: {BRACES.search(VARIABLE.sub('', stray))[0]!r}", "Write {{ name }}."
        )
    used = {name for _, said in messages for name in VARIABLE.findall(said)}
    if used != set(front.inputs):
        wrong = ", ".join(sorted(used ^ set(front.inputs)))
        raise _malformed(
            path, f"inputs and {{{{ variables }}}} differ in {wrong}", "Declare what is used, use what is declared."
        )
    return Prompt(front.name, front.version, front.inputs, hashlib.sha256(text.encode()).hexdigest(), messages)


def _front_matter(path: Path, text: str) -> tuple[FrontMatter, str]:
    opening, *rest = text.split("---\n", 2)
    if opening or len(rest) != 2:
        raise _malformed(path, "it has no front matter", "Begin it with '---', YAML fields and '---'.")
    try:
        return FrontMatter.model_validate(yaml.safe_load(rest[0])), rest[1]
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise _malformed(path, told, f"It takes {', '.join(FrontMatter.model_fields)}.") from error
    except yaml.YAMLError as error:
        raise _malformed(path, f"its front matter is no YAML: {error}", "Mend the YAML.") from error


def _malformed(path: Path, why: str, next_step: str) -> InvalidInput:
    return InvalidInput(f"The prompt file {path.name} is malformed: {why}.", field="prompt", next_step=next_step)
