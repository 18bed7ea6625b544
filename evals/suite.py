"""A suite is one YAML file: which samples, what is called, which scorers, which gates. Knows no target and no scorer.

suite = load_suite("handbook")      # evals/suites/handbook.yaml; a path works as well
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from data.errors import InvalidInput, NotFound
from data.records import SearchMode
from evals.gate_config import GateConfig, GateRules

SUITES = Path(__file__).parent / "suites"


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


class DatasetSpec(Part):
    path: Path
    """A file of `Sample`s, one JSON object a line (.jsonl or .jsonl.gz), relative to the suite's folder."""
    where: dict[str, tuple[JsonValue, ...]] = {}
    """Only samples whose metadata field has one of these values: {kind: [table, numeric]}."""
    limit: int = Field(0, ge=0)
    """Only the first so many; 0 for all."""


class StoreSpec(Part):
    """Where a target finds documents."""

    corpus: Literal["sample", ""] = ""
    """`sample` for the sample corpus in a store of its own; empty for the documents of this installation."""
    plant: Path | None = None
    """A file of further documents for that store (.jsonl: name, text, groups), relative to the suite's folder."""
    collection: str | None = None
    """Only this collection."""
    tenant: str = "default"
    """The tenant that asks."""
    groups: tuple[str, ...] = ()
    """The groups of who asks."""
    mode: SearchMode = SearchMode.HYBRID
    """lexical, dense or hybrid."""

    @model_validator(mode="after")
    def _plants_in_a_copy(self) -> "StoreSpec":
        if self.plant is not None and not self.corpus:
            raise ValueError("documents are planted only beside corpus: sample, never among your own")
        return self


class RagTarget(StoreSpec):
    """The whole product in this process: search, answer, ground."""

    kind: Literal["rag"]
    k: int = Field(8, ge=1, le=100)
    """How many chunks an answer may rest on."""
    strict: bool = False
    """Withhold sentences that nothing supports."""
    model: str = ""
    """The model that answers: empty for the configured one, `assay-extractive` for none, else a name at the model's server."""
    prompt: str = ""
    """The prompt that it is given: empty for the newest `answer`, `answer@2`, or the path of a template file."""


class SearchTarget(StoreSpec):
    """The retriever alone."""

    kind: Literal["search"]
    k: int = Field(10, ge=1, le=1000)
    """How many chunks are found."""


class UrlTarget(Part):
    """Any OpenAI-compatible chat API. Ours tells its citations as annotations of the message, which are read."""

    kind: Literal["url"]
    url: str = Field(pattern=r"^https?://")
    """The API's base, up to and with /v1."""
    model: str
    """The model to name in the request."""
    body: dict[str, JsonValue] = {}
    """Further fields of the request: {collection: handbook, k: 8}."""
    timeout_s: float = Field(60, gt=0)
    """Longest wait for one answer."""


class ModelTarget(Part):
    """The configured chat model without documents: the question alone."""

    kind: Literal["model"]
    model: str = ""
    """A name at the model's server; empty for the configured one."""
    system: str = ""
    """A system message before the question."""


class PromptTarget(Part):
    """A prompt template, rendered with the sample and sent to the configured model."""

    kind: Literal["prompt"]
    prompt: str
    """`name@version`, `name` for its newest version, or the path of a template file."""
    model: str = ""
    """A name at the model's server; empty for the configured one."""


TargetSpec = Annotated[
    RagTarget | SearchTarget | UrlTarget | ModelTarget | PromptTarget,
    Field(discriminator="kind"),
]
AnyTarget = RagTarget | SearchTarget | UrlTarget | ModelTarget | PromptTarget


class ScorerSpec(Part):
    """A scorer by its name in evals/scorers/registry.py; all else are its options. `token_f1` alone is enough without any."""

    name: str
    """Its name in the registry."""
    options: dict[str, JsonValue] = {}

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"name": given}
        if isinstance(given, dict) and "options" not in given:
            return {"name": given.get("name"), "options": {k: v for k, v in given.items() if k != "name"}}
        return given


class Suite(Part):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """How commands call it; the file's name without .yaml."""
    description: str = ""
    """One sentence for `assay eval list`."""
    dataset: DatasetSpec
    """The samples."""
    target: TargetSpec
    """What is called for each sample."""
    repeats: int = Field(1, ge=1)
    """How often each sample is asked, to see the noise; repeats after the first never come from the cache."""
    concurrency: int = Field(2, ge=1)
    """How many samples are asked at a time."""
    scorers: tuple[ScorerSpec, ...] = Field(min_length=1)
    """What is measured."""
    gates: tuple[GateConfig, ...] = ()
    """What `assay gate` decides by."""
    rules: GateRules = GateRules()
    """How sure `assay gate` must be."""

    @field_validator("gates")
    @classmethod
    def _one_each(cls, gates: tuple[GateConfig, ...]) -> tuple[GateConfig, ...]:
        names = [gate.metric for gate in gates]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} has two gates; leave one")
        return gates


def load_suite(name: str | Path) -> Suite:
    """Read a suite by name or path. Raises: NotFound; InvalidInput with every error at once."""
    path = _found(name)
    try:
        given = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not YAML: {error}", field="suite") from error
    suite = parse_suite(given, str(path))
    located = suite.dataset.model_copy(update={"path": (path.parent / suite.dataset.path).resolve()})
    target = suite.target
    if isinstance(target, StoreSpec) and target.plant is not None:
        target = target.model_copy(update={"plant": (path.parent / target.plant).resolve()})
    return suite.model_copy(update={"dataset": located, "target": target})


def parse_suite(given: Any, origin: str = "the suite") -> Suite:
    """Validate a mapping. Raises: InvalidInput with every error at once."""
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{origin} must be a mapping, not {type(given).__name__}.", field="suite")
    try:
        return Suite.model_validate(given)
    except ValidationError as error:
        told = [f"  {line}" for line in _edits(error)]
        raise InvalidInput(
            f"{origin} has {len(told)} error{'s' * (len(told) > 1)}:\n" + "\n".join(told),
            field="suite",
            next_step="\nEdit the file; docs/evals.md lists the fields.",
        ) from error


def known_suites() -> list[Path]:
    return sorted(SUITES.glob("*.yaml"))


def suite_digest(suite: Suite) -> str:
    """sha256 of what decides the scores: samples are told apart by their own content, gates and pace do not matter."""
    free = {
        "description": True,
        "gates": True,
        "rules": True,
        "concurrency": True,
        "dataset": {"path"},
        "target": {"plant"},
    }
    return hashlib.sha256(suite.model_dump_json(exclude=free).encode()).hexdigest()


def _found(name: str | Path) -> Path:
    path = Path(name)
    shipped = SUITES / f"{name}.yaml"
    if path.is_file():
        return path
    if len(path.parts) == 1 and shipped.is_file():
        return shipped
    raise NotFound(
        f"There is no suite {str(name)!r}.",
        next_step=f"Name a YAML file, or one of {', '.join(p.stem for p in known_suites())}.",
    )


def _edits(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        key = _key(problem["loc"])
        match problem["type"]:
            case "missing":
                yield f"{key}: is missing. {_meaning(problem['loc'])}".rstrip()
            case "extra_forbidden":
                yield f"{key}: there is no such field. Remove it; {_allowed(problem['loc'])}."
            case "union_tag_not_found" | "union_tag_invalid":
                yield f"target.kind: must be one of {', '.join(_TARGETS)}."
            case _:
                yield f"{key}: {problem['input']!r} is not allowed: {problem['msg']}. {_meaning(problem['loc'])}".rstrip()


def _key(loc: Sequence[str | int]) -> str:
    return ".".join(str(part) for n, part in enumerate(loc) if not (n == 1 and loc[0] == "target")) or "suite"


def _model(loc: Sequence[str | int]) -> type[BaseModel]:
    """The model that holds the field at the end of `loc`."""
    parts = {"dataset": DatasetSpec, "scorers": ScorerSpec, "gates": GateConfig, "rules": GateRules}
    if len(loc) < 2:
        return Suite
    return _TARGETS.get(str(loc[1]), Suite) if loc[0] == "target" else parts.get(str(loc[0]), Suite)


def _meaning(loc: Sequence[str | int]) -> str:
    field = _model(loc).model_fields.get(str(loc[-1])) if loc else None
    return f"It is: {field.description}" if field and field.description else ""


def _allowed(loc: Sequence[str | int]) -> str:
    return f"there are: {', '.join(_model(loc).model_fields)}"


_TARGETS: dict[str, type[BaseModel]] = {
    "rag": RagTarget,
    "search": SearchTarget,
    "url": UrlTarget,
    "model": ModelTarget,
    "prompt": PromptTarget,
}
