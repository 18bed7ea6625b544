"""The attacks that `assay redteam` knows: texts in attacks.yaml, validated."""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

FILE = Path(__file__).with_name("attacks.yaml")
Aim = Literal["mark", "fact", "laundered", "leak", "changed", "prompt"]


class Attack(BaseModel):
    """See the head of attacks.yaml for what the fields mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z_]+$")
    tells: str
    aim: Aim
    level: Literal["error", "warning"]
    file: str = ""
    plant: str = ""
    variants: tuple[str, ...] = ("",)
    question: str = ""


@cache
def load_attacks(path: Path = FILE) -> dict[str, Attack]:
    """By name, in the order of the file."""
    listed = yaml.safe_load(path.read_text(encoding="utf-8"))["attacks"]
    return {attack.name: attack for attack in map(Attack.model_validate, listed)}
