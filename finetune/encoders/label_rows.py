"""Rows of classifiers: a text and its label, from our own files or from any file of texts that are all alike. Pure functions."""

from collections.abc import Iterator, Mapping

from data.errors import InvalidInput
from finetune.encoder_recipes import ClassifierRecipe, EncoderSource
from finetune.encoders.built_rows import BuiltRow, Files, Format, Parted, keep_apart, only, parted_rows, text_in, usable
from finetune.encoders.injection_rows import INJECTION_FORMATS, planted
from finetune.encoders.toxicity_rows import TOXICITY_FORMATS
from finetune.examples import Dropped
from finetune.rows import Row, normalised


def own_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Rows with `text` and `label`, perhaps `group`."""

    def build(row: Row) -> BuiltRow:
        text, group = text_in(row, "text"), row.fields.get("group")
        fields = {"text": text, "label": str(row.fields.get("label"))}
        return BuiltRow(row.where, fields, text, (f"given:{group}",) if group else ())

    yield from usable(only(files), build)


def alike_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Each different text of `source.field`, with the label `source.label`. `title` names the document where a row has one."""
    if not source.field or not source.label:
        raise InvalidInput(f"{source.path}: the format `texts` needs `field` and `label`.", field="data.train")
    seen: set[str] = set()
    for built in usable(only(files), lambda row: _alike(row, source)):
        if isinstance(built, Dropped):
            yield built
        elif (key := normalised(built.key)) not in seen:
            seen.add(key)
            yield built


def _alike(row: Row, source: EncoderSource) -> BuiltRow:
    text, title = text_in(row, source.field), row.fields.get("title")
    groups = (f"{source.called}:{title}",) if title else (f"{source.called}:{normalised(text)}",)
    return BuiltRow(row.where, {"text": text, "label": source.label}, text, groups)


FORMATS: Mapping[str, Format] = {
    "rows": Format(own_rows),
    "texts": Format(alike_rows),
    **TOXICITY_FORMATS,
    **INJECTION_FORMATS,
}


def labelled_rows(recipe: ClassifierRecipe) -> Parted:
    """Read and part the rows; then plant one source's texts into the others, on each side of its own."""
    parted = parted_rows(recipe, FORMATS)
    if how := recipe.data.plant:
        parted.train[:] = planted(parted.train, how, recipe.seed)
        parted.eval[:] = planted(parted.eval, how, recipe.seed)
        keep_apart(parted, recipe.preflight.near_duplicate)
    return parted
