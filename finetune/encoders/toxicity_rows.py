"""Rows of the toxicity classifier: a text, `toxic` or `benign`. Pure functions over published data sets."""

from collections.abc import Iterator, Mapping

from finetune.encoder_recipes import EncoderSource
from finetune.encoders.built_rows import BuiltRow, Files, Format, only, text_in, usable
from finetune.examples import Dropped
from finetune.rows import Row, UnusableRow, normalised

TOXIC, BENIGN = "toxic", "benign"
NEITHER = 2
"""The class of Davidson et al. 2017 that is neither hate speech (0) nor offensive (1)."""


def davidson_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Tweets: hate or offensive against neither."""

    def build(row: Row) -> BuiltRow:
        label = BENIGN if int(row.fields["class"]) == NEITHER else TOXIC
        return _row(row, label, "tweet")

    yield from usable(only(files), build)


def civil_comments_rows(files: Files, source: EncoderSource) -> Iterator[BuiltRow | Dropped]:
    """Comments with the votes of several raters: toxic where most say so, benign where most do not; a tie is not used."""

    def build(row: Row) -> BuiltRow:
        votes = [bool(vote.get("not_toxic")) for vote in row.fields.get("annotations", ())]
        n_benign = sum(votes)
        if 2 * n_benign == len(votes):
            raise UnusableRow("tie", f"{n_benign} of {len(votes)} raters say it is not toxic")
        return _row(row, BENIGN if 2 * n_benign > len(votes) else TOXIC, "comment")

    yield from usable(only(files), build)


TOXICITY_FORMATS: Mapping[str, Format] = {
    "davidson": Format(davidson_rows),
    "civil_comments": Format(civil_comments_rows),
}


def _row(row: Row, label: str, kind: str) -> BuiltRow:
    text = text_in(row, "text")
    return BuiltRow(row.where, {"text": text, "label": label}, text, (f"{kind}:{normalised(text)}",))
