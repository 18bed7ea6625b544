"""A run is one YAML file, validated into a typed model; `key=value` overrides by YAML's own rules. Imports nothing heavy.

recipe = load_recipe(Path("finetune/recipes/sft_lora.yaml"), ["train.epochs=1", "lora.r=8"])
"""

import hashlib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from data.errors import InvalidInput, NotFound
from finetune.decoder_recipes import DecoderRecipe, DpoRecipe, RaftRecipe, SftRecipe, ToyRecipe
from finetune.encoder_recipes import (
    ClassifierRecipe,
    EmbedderRecipe,
    EncoderRecipe,
    GroundingRecipe,
    ReaderRecipe,
    RerankerRecipe,
)

RECIPES = Path(__file__).parent / "recipes"

Recipe = Annotated[
    SftRecipe
    | DpoRecipe
    | RaftRecipe
    | ToyRecipe
    | EmbedderRecipe
    | RerankerRecipe
    | ReaderRecipe
    | GroundingRecipe
    | ClassifierRecipe,
    Field(discriminator="kind"),
]
AnyRecipe = DecoderRecipe | EncoderRecipe
_ADAPTER: TypeAdapter[AnyRecipe] = TypeAdapter(Recipe)
_MODELS: dict[str, type[BaseModel]] = {
    model.model_fields["kind"].annotation.__args__[0]: model  # type: ignore[union-attr]
    for model in Recipe.__origin__.__args__  # type: ignore[attr-defined]
}
KINDS = tuple(_MODELS)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> AnyRecipe:
    """Read a recipe. Raises: NotFound, and InvalidInput with every error at once and the edit that mends each."""
    if not path.exists():
        known = ", ".join(sorted(p.name for p in RECIPES.glob("*.yaml")))
        raise NotFound(f"There is no recipe {path}.", next_step=f"finetune/recipes has: {known}.")
    try:
        given = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path} is not YAML: {error}", field="recipe") from error
    if not isinstance(given, dict):
        raise InvalidInput(
            f"{path} must be a mapping with `kind` and `name`, not {type(given).__name__}.", field="recipe"
        )
    return parse_recipe(overridden(given, overrides), str(path))


def parse_recipe(given: dict[str, Any], origin: str = "the recipe") -> AnyRecipe:
    """Validate a mapping. Raises: InvalidInput with every error at once and the edit that mends each."""
    try:
        return _ADAPTER.validate_python(given)
    except ValidationError as error:
        edits = [f"  {edit}" for edit in _edits(error, given)]
        raise InvalidInput(
            f"{origin} has {len(edits)} error{'s' * (len(edits) > 1)}:\n" + "\n".join(edits),
            field="recipe",
            next_step="\nEdit the file, or override on the command line: key.field=value.",
        ) from error


def overridden(given: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of `given` with each `a.b=c` or `a.0.b=c` set; c is read as YAML. Raises: InvalidInput for a malformed override."""
    result = yaml.safe_load(yaml.safe_dump(given))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not all(key.split(".")):
            raise InvalidInput(
                f"{override!r} is not an override.",
                field="override",
                next_step="Write key.field=value: train.epochs=1.",
            )
        try:
            _put(result, key.split("."), yaml.safe_load(text))
        except yaml.YAMLError as error:
            raise InvalidInput(f"{override!r}: the value is not YAML: {error}", field="override") from error
        except (TypeError, ValueError, IndexError) as error:
            raise InvalidInput(
                f"{override!r} does not fit the recipe: `{key}` runs through a value or past the end of a list.",
                field="override",
            ) from error
    return result


def _put(section: Any, keys: Sequence[str], value: Any) -> None:
    """Set a value below `section`; whole numbers index lists (`data.train.0.path`)."""
    first, *rest = keys
    key: Any = int(first) if isinstance(section, list) else first
    if not rest:
        section[key] = value
    elif isinstance(section, dict):
        _put(section.setdefault(key, {}), rest, value)
    else:
        _put(section[key], rest, value)


def recipe_digest(recipe: AnyRecipe) -> str:
    """sha256 of everything the recipe says, defaults included."""
    return hashlib.sha256(recipe.model_dump_json().encode()).hexdigest()


def training_digest(recipe: AnyRecipe) -> str:
    """sha256 of what decides the weights. A checkpoint is resumed only under the same one."""
    free = {
        "train": {"resume", "world_size", "logging_steps"},
        "card": True,
        "tracking": True,
        "parity": True,
        "output": True,
    }
    return hashlib.sha256(recipe.model_dump_json(exclude=free).encode()).hexdigest()


def _edits(error: ValidationError, given: dict[str, Any]) -> Iterator[str]:
    problems = error.errors()
    for problem in problems:
        if problem["type"] == "too_short" and any(
            problem["loc"] == other["loc"][: len(problem["loc"])] != other["loc"] for other in problems
        ):
            continue  # pydantic leaves out what is wrong, then finds too little
        loc = [str(part) for part in problem["loc"][problem["loc"][:1] == (given.get("kind"),) :]]
        key = ".".join(loc)
        match problem["type"]:
            case "union_tag_not_found":
                yield f"kind: is missing. Add `kind: ...`, one of {', '.join(KINDS)}."
            case "union_tag_invalid":
                yield f"kind: {given.get('kind')!r} is none. Write one of {', '.join(KINDS)}."
            case "missing":
                yield f"{key}: is missing. Add `{key}=...`: {_meaning(given, loc)}"
            case "extra_forbidden":
                yield f"{key}: there is no such field. {_instead(given, loc)}"
            case _:
                yield f"{key}: {problem['input']!r} is not allowed: {problem['msg']}. It is: {_meaning(given, loc)}"


def _instead(given: dict[str, Any], loc: list[str]) -> str:
    fields = list(getattr(_section(given, loc[:-1]), "model_fields", {}))
    near = get_close_matches(loc[-1], fields, n=1, cutoff=0.6)
    return f"Rename it to `{near[0]}`." if near else f"Remove it; there are: {', '.join(fields)}."


def _meaning(given: dict[str, Any], loc: list[str]) -> str:
    """The docstring of the field at `loc`."""
    model = _section(given, loc[:-1])
    field = getattr(model, "model_fields", {}).get(loc[-1])
    return (field and field.description) or "see finetune/recipe_parts.py."


def _section(given: dict[str, Any], loc: list[str]) -> type[BaseModel] | None:
    model: Any = _MODELS.get(str(given.get("kind")))
    for part in loc:
        if part.isdigit() or model is None:
            continue
        field = model.model_fields.get(part)
        model = next(_models_in(field.annotation), None) if field else None
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)
