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
    versions = {int(path.stem.split("@")[1]): path for path in folder.glob(f"{name}@*.md")}
    if not versions or (version is not None and version not in versions):
        known = ", ".join(sorted(path.stem for path in folder.glob("*@*.md")))
        wanted = f"{name}@{version}" if version is not None else name
        raise NotFound(f"There is no prompt {wanted!r}.", next_step=f"There are: {known}.")
    return _parsed(versions[version if version is not None else max(versions)])


def _parsed(path: Path) -> Prompt:
    text = path.read_text(encoding="utf-8")
    try:
        _, head, body = text.split("---\n", 2)
        front = FrontMatter(**yaml.safe_load(head))
    except (ValueError, TypeError, ValidationError) as error:
        raise InvalidInput(f"{path.name} has no valid front matter: {error}.", field="prompt") from error
    parts = ROLE.split(body)[1:]
    messages = tuple((role, said.strip()) for role, said in zip(parts[::2], parts[1::2], strict=True))
    used = {name for _, said in messages for name in VARIABLE.findall(said)}
    if used != set(front.inputs) or f"{front.name}@{front.version}" != path.stem or not messages:
        raise InvalidInput(
            f"{path.name} declares {front.name}@{front.version} with inputs {sorted(front.inputs)} and uses {sorted(used)}.",
            field="prompt",
            next_step="Let front matter, file name and {{ variables }} agree.",
        )
    return Prompt(front.name, front.version, front.inputs, hashlib.sha256(text.encode()).hexdigest(), messages)
