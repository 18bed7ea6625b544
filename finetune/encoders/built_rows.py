"""Rows as the encoder kinds read them, from files as they are published, and the parting into training and held-out rows.

A data set is a `Format`: a pure function from its files' rows to ours. Groups (articles, documents, attack categories) are never divided.
"""

import dataclasses
import gzip
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.errors import InvalidInput, NotFound
from finetune.encoder_recipes import EncoderRecipe, EncoderSource
from finetune.examples import Dropped, FileDigest, Notice
from finetune.overlap import matches
from finetune.rows import Row, UnusableRow, normalised, read_source

UNSHAREABLE = re.compile(r"\b(?:NC|ND|none|unknown|unstated|proprietary)\b|not stated", re.I)
"""Licences under which weights made of the data may not be passed on, or nobody knows."""

Files = Mapping[str, Sequence[Row]]
"""The rows of each file of a source, by the file's name; a source of one file has one entry."""


@dataclass(frozen=True)
class BuiltRow:
    """`fields` are those of the kind. `groups` names what must not be divided; before the colon stands what kind of group it is.

    A row of several groups is held out when all of them are, trained on when none is, and left out otherwise. `is_weak` rows
    are never held out: their labels are guesses. `is_left_out` rows are of a source that is measured only. `key` is what is asked.
    """

    where: str
    fields: dict[str, Any]
    key: str
    groups: tuple[str, ...] = ()
    source: str = ""
    is_weak: bool = False
    is_left_out: bool = False

    def __post_init__(self) -> None:
        if not self.groups:
            object.__setattr__(self, "groups", (f"text:{normalised(self.key)}",))


Build = Callable[[Files, EncoderSource], Iterator["BuiltRow | Dropped"]]


@dataclass(frozen=True)
class Format:
    """`files` are read from the folder that the source names; empty: the source is one file."""

    build: Build
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parted:
    """What a run trains on and is judged by."""

    train: list[BuiltRow]
    eval: list[BuiltRow]
    dropped: list[Dropped] = field(default_factory=list)
    files: list[FileDigest] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


def parted_rows(recipe: EncoderRecipe, formats: Mapping[str, Format]) -> Parted:
    """Read every source, build its rows and part them. Raises: NotFound, InvalidInput."""
    data = recipe.data
    _check_names(recipe)
    out = Parted([], [], notices=list(_licence_notices(recipe)))
    train: list[BuiltRow] = []
    for source in data.train:
        if source.called in data.leave_out:
            rows = _read(source, formats, "left out", out)
            out.eval.extend(dataclasses.replace(row, is_left_out=True) for row in rows)
        else:
            train.extend(_read(source, formats, "train", out))
    for source in data.eval:
        out.eval.extend(_read(source, formats, "eval", out))
    train = train[: data.max_rows]
    out.train.extend(train if data.eval else _hold_out(train, data.eval_share, recipe.seed, out))
    keep_apart(out, recipe.preflight.near_duplicate)
    return out


def held_out_groups(rows: Sequence[BuiltRow], share: float, seed: int) -> set[str]:
    """Groups in the order of a hash until `share` of the rows is reached, for each kind of group on its own."""
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        if not row.is_weak:
            for group in row.groups:
                sizes[group.partition(":")[0]][group] += 1
    chosen: set[str] = set()
    for kind in sizes.values():
        room = share * kind.total()
        for group in sorted(kind, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest()):
            if room <= 0:
                break
            if kind[group] <= 1.5 * room or not chosen & kind.keys():
                chosen.add(group)
                room -= kind[group]
    return chosen


def _hold_out(rows: Sequence[BuiltRow], share: float, seed: int, out: Parted) -> list[BuiltRow]:
    chosen = held_out_groups(rows, share, seed)
    train, n_between = [], 0
    for row in rows:
        n_out = sum(group in chosen for group in row.groups)
        if n_out == 0:
            train.append(row)
        elif n_out == len(row.groups) and not row.is_weak:
            out.eval.append(row)
        else:
            n_between += 1
    if n_between:
        message = f"{n_between} rows belong to a held-out group and to a training group; they are left out."
        out.notices.append(Notice("between_the_sides", message, "Nothing to mend.", is_blocking=False))
    return train


def keep_apart(out: Parted, least: float) -> None:
    """Take out held-out rows that equal, or nearly equal, what is trained on."""
    asked = [row.key for row in out.train]
    alike = {match.b for match in matches(asked, asked, [row.key for row in out.eval], least)}
    if alike:
        n_before = len(out.eval)
        out.eval[:] = [row for i, row in enumerate(out.eval) if i not in alike]
        message = (
            f"{len(alike)} of {n_before} held-out rows ask nearly what a training row asks; they are not measured."
        )
        mend = "Give held-out rows of their own in data.eval."
        out.notices.append(Notice("near_duplicates_taken_out", message, mend, is_blocking=len(out.eval) * 4 < n_before))


def _licence_notices(recipe: EncoderRecipe) -> Iterator[Notice]:
    trained_on = [source for source in recipe.data.train if source.called not in recipe.data.leave_out]
    closed = [f"{source.called} ({source.licence})" for source in trained_on if UNSHAREABLE.search(source.licence)]
    if closed:
        yield Notice(
            "unshareable_licence",
            f"Weights trained on {', '.join(closed)} may not be passed on.",
            "Name the sources in data.leave_out, or keep the adapter to yourself: preflight.allow=[unshareable_licence].",
        )


def _check_names(recipe: EncoderRecipe) -> None:
    names = [source.called for source in recipe.data.train]
    unknown = sorted(set(recipe.data.leave_out) - set(names))
    if unknown:
        raise InvalidInput(
            f"data.leave_out names {', '.join(unknown)}; the sources are {', '.join(names)}.", field="data.leave_out"
        )


def _read(source: EncoderSource, formats: Mapping[str, Format], role: str, out: Parted) -> list[BuiltRow]:
    form = formats.get(source.format)
    if form is None:
        raise InvalidInput(
            f"{source.path} has the format {source.format!r}; this kind reads {', '.join(formats)}.",
            field="data.format",
        )
    files: dict[str, list[Row]] = {}
    for name in form.files or ("",):
        one = source.model_copy(update={"path": source.path / name}) if name else source
        if one.path.suffix == ".tsv":
            rows, dropped, digest = _read_table(one, role)
        else:
            rows, dropped, digest = read_source(one, role)
        files[name or source.path.name] = rows
        out.dropped.extend(dropped)
        out.files.append(digest)
    built = []
    for row in form.build(files, source):
        if isinstance(row, Dropped):
            out.dropped.append(row)
        else:
            built.append(dataclasses.replace(row, source=source.called))
    if source.max_rows and len(built) > source.max_rows:
        built = sorted(built, key=lambda row: hashlib.sha256(f"{row.key}{row.where}".encode()).digest())
    return built[: source.max_rows]


def _read_table(source: EncoderSource, role: str) -> tuple[list[Row], list[Dropped], FileDigest]:
    """Tab-separated with a header line."""
    if not source.path.is_file():
        raise NotFound(f"There is no file {source.path}.", next_step=f"Mend the path in data.{role}.")
    raw = source.path.read_bytes()
    lines = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8").splitlines()
    header = lines[0].split("\t")
    rows = [
        Row(f"{source.path.name}:{number}", dict(zip(header, line.split("\t"), strict=False)))
        for number, line in enumerate(lines[1:], 2)
        if line.strip()
    ]
    return rows, [], FileDigest(source, hashlib.sha256(raw).hexdigest(), len(rows), role)


def usable(rows: Sequence[Row], build: Callable[[Row], BuiltRow]) -> Iterator[BuiltRow | Dropped]:
    """Build row by row; what cannot be used is dropped with its reason."""
    for row in rows:
        try:
            yield build(row)
        except UnusableRow as error:
            yield Dropped(row.where, error.reason, str(error))


def only(files: Files) -> Sequence[Row]:
    """The rows of a source that is one file."""
    (rows,) = files.values()
    return rows


def text_in(row: Row, name: str) -> str:
    """A field that must hold text. Raises: UnusableRow."""
    value = row.fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UnusableRow("no_text", f"`{name}` holds no text; the row has {', '.join(row.fields)}")
    return value
