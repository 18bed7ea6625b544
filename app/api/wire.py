"""Types that several requests share: text that every store and encoding can hold, names, limits."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from app.api.config import ApiConfig
from data.errors import InvalidInput
from data.records import Filter, Scalar

MAX_INTEGER = 2**63 - 1


def _storable(text: str) -> str:
    """Postgres refuses NUL, UTF-8 half of a surrogate pair: say so here, not as a failure further in."""
    if "\x00" in text:
        raise ValueError("must not contain the NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must not contain an unpaired surrogate") from None
    return text


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_storable)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_storable)]
Hits = Annotated[int, Field(ge=1, le=1000)]


def _bounded(value: Scalar) -> Scalar:
    """Databases hold 64-bit integers and finite numbers."""
    if isinstance(value, str):
        return _storable(value)
    if not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:  # also false for NaN
        raise ValueError("must be a finite number of at most 64 bits")
    return value


def _bounded_filter(condition: Filter) -> Filter:
    for value in condition.model_dump().values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if part is not None:
                _bounded(part)
    return condition


Metadata = Annotated[
    dict[Annotated[Name, Field(max_length=100)], Annotated[Scalar, AfterValidator(_bounded)]],
    Field(max_length=50),
]
Filters = Annotated[tuple[Annotated[Filter, AfterValidator(_bounded_filter)], ...], Field(max_length=20)]


class Request(BaseModel):
    """A request body of our own shape: an unknown field is an error, because it is usually a misspelt one."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class OpenRequest(BaseModel):
    """A request body in another product's shape: fields that we have no use for are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


def check_question(text: str, config: ApiConfig, *, field: str) -> str:
    """Raises: InvalidInput for an empty or over-long question."""
    if not text.strip():
        raise InvalidInput("The question is empty.", field=field, next_step="Write a question.")
    if len(text) > config.max_question_chars:
        raise InvalidInput(
            f"The question has {len(text)} characters; the limit is {config.max_question_chars}.",
            field=field,
            next_step="Ask something shorter, or raise ASSAY_API__MAX_QUESTION_CHARS.",
        )
    return text


def check_k(k: int, config: ApiConfig) -> int:
    """Raises: InvalidInput."""
    if k > config.max_k:
        raise InvalidInput(
            f"k is {k}; the most is {config.max_k}.",
            field="k",
            next_step="Ask for fewer, or raise ASSAY_API__MAX_K.",
        )
    return k
