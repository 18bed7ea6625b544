"""Types that several requests share: text that every store and encoding can hold, names, limits."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from app.api.config import ApiConfig
from data.errors import InvalidInput


def _storable(text: str) -> str:
    """Postgres refuses NUL, UTF-8 refuses half of a surrogate pair: say so here, not as a failure further in."""
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
