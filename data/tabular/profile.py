"""Drafts the spec of a table from its file: kinds, ranges, closed values, holes, ids, copies. A person reads and mends it. Knows no server.

draft = drafted(Path("claims.csv"), target="fraud"); print(as_yaml(draft))
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from data.errors import InvalidInput, NotFound
from data.tabular.cells import FALSE, TRUE, texts
from data.tabular.table_spec import TableSpec, parse_spec

MISSING_WORDS = ("?", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "none", "-", "#N/A")
MAX_CLOSED = 40
"""More values than this leave a category open."""
TOO_GOOD = 0.98
"""A column that alone orders the target so well (AUC) likely knows the answer."""
PROTECTED = re.compile(
    r"^(sex|gender|race|ethnic\w*|religion|disability|nationality|age|marital.?status)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Draft:
    spec: TableSpec
    n_rows: int
    notes: tuple[str, ...]
    """What a person should look at before trusting it."""


def drafted(path: Path, *, target: str = "", name: str = "", max_rows: int = 200_000) -> Draft:
    """Draft a spec from a csv (gzipped or not) or parquet file. Raises: NotFound; InvalidInput."""
    kind, raw = _read(path, max_rows)
    if target and target not in raw:
        raise InvalidInput(
            f"{path} has no column {target!r}.", field="target", next_step=f"Name one of {', '.join(map(str, raw))}."
        )
    notes: list[str] = []
    dropped = dict(_useless(raw, target))
    columns = {str(one): _column(raw[one]) for one in raw if one not in dropped}
    given: dict[str, Any] = {
        "name": name or re.sub(r"[^a-z0-9_-]+", "_", path.name.split(".")[0].lower()).lstrip("_-0123456789") or "table",
        "description": "",
        "source": {"kind": kind, "paths": [str(path)]},
        "columns": columns,
        "dropped": dropped,
        "quality": {"min_rows": max(1, len(raw) // 2)},
    }
    given |= dict(_roles(raw, columns, target))
    if len(raw) == max_rows:
        notes.append(f"Only the first {max_rows} rows were read.")
    notes += _advice(raw, columns, given)
    _quality(raw, columns, given)
    return Draft(parse_spec(given, f"the draft of {path}"), len(raw), tuple(notes))


def as_yaml(draft: Draft) -> str:
    """The draft as a file to edit: only what differs from the defaults, its notes as comments on top."""
    given = draft.spec.model_dump(mode="json", exclude_defaults=True)
    columns = given.pop("columns")
    lines = [
        f"# assay data check {draft.spec.name}.yaml",
        f"# Drafted from {draft.n_rows} rows: ranges and values are what was seen, a little widened.",
    ]
    lines += [f"# Look: {note}" for note in draft.notes]
    lines += ["", *(_yaml({key: given.pop(key)}) for key in ("name", "source") if key in given)]
    lines.append("columns:")
    lines += [f"  {_inline(name)}: {_inline(column)}" for name, column in columns.items()]
    lines += [_yaml({key: value}) for key, value in given.items()]
    return "\n".join(line.rstrip("\n") for line in lines) + "\n"


def _read(path: Path, max_rows: int) -> tuple[str, pd.DataFrame]:
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", next_step="Name a .csv, .csv.gz or .parquet file.")
    try:
        if path.suffix in (".parquet", ".pq"):
            return "parquet", pd.read_parquet(path).head(max_rows)
        return "csv", pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], nrows=max_rows)
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{path} is no table: {error}", field="path") from error


def _useless(raw: pd.DataFrame, target: str) -> Iterator[tuple[str, str]]:
    """Columns with a single value, and copies of earlier ones."""
    seen: dict[int, str] = {}
    for name in raw:
        cells = texts(raw[name])
        if name == target:
            continue
        if cells.nunique() <= 1:
            yield str(name), "the same value in every row" if cells.notna().any() else "always empty"
            continue
        digest = int(pd.util.hash_array(cells.fillna("").to_numpy(dtype=object)).sum())
        if digest in seen and cells.equals(texts(raw[seen[digest]])):
            yield str(name), f"a copy of {seen[digest]}"
        seen.setdefault(digest, str(name))


def _column(cells: pd.Series) -> dict[str, Any]:
    words = texts(cells)
    holes = [word for word in MISSING_WORDS if (words == word).any()]
    known = words[words.notna() & ~words.isin(holes)]
    kind = _kind(cells, known)
    if kind == "category" and holes in (["none"], ["None"], ["-"]):
        holes, known = [], words[words.notna()]  # "none" is an answer more often than a hole
    column: dict[str, Any] = {"kind": kind}
    if words.isna().any() or holes:
        column["nullable"] = True
    if holes:
        column["missing"] = holes
    if kind in ("number", "integer"):
        column |= _range(pd.to_numeric(known).to_numpy(dtype=np.float64))
    elif kind == "category" and known.nunique() <= MAX_CLOSED and known.nunique() < len(known) / 5:
        column["values"] = sorted(known.unique())
    elif kind == "date":
        column["parts"] = ["month", "weekday"]
    return column


def _kind(cells: pd.Series, known: pd.Series) -> str:
    if pd.api.types.is_datetime64_any_dtype(cells):
        return "date"
    if pd.api.types.is_bool_dtype(cells) or (
        len(known) and set(known.str.lower()) <= (TRUE | FALSE) - {"1", "0", "1.0", "0.0"}
    ):
        return "boolean"
    numbers = pd.to_numeric(known, errors="coerce")
    if isinstance(cells.dtype, pd.CategoricalDtype):
        return "category"
    if len(known) and numbers.notna().all() and np.isfinite(numbers).all():
        if known.str.fullmatch(r"0\d+").any():
            return "category"  # leading zeros: a code
        return "integer" if (numbers == np.floor(numbers)).all() else "number"
    return "date" if len(known) and _are_dates(known) else "category"


def _are_dates(words: pd.Series) -> bool:
    if not words.str.fullmatch(r"\d{4}-\d\d-\d\d([T ].*)?").all():
        return False
    return bool(pd.to_datetime(words, errors="coerce", format="ISO8601", utc=True).notna().all())


def _range(numbers: np.ndarray) -> dict[str, float]:
    """From 0 where nothing is below it, up to the next 1, 2 or 5 times a power of ten."""
    low, high = float(numbers.min()), float(numbers.max())
    return {"low": 0.0 if low >= 0 else -_rounded_up(-low), "high": _rounded_up(high) if high > 0 else 0.0}


def _rounded_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _roles(raw: pd.DataFrame, columns: dict[str, Any], target: str) -> Iterator[tuple[str, Any]]:
    if target:
        counts = texts(raw[target]).value_counts()
        yield "target", target
        yield "positive", _as_truth(str(counts.index[-1]), columns[target]["kind"])
    named = [one for one in columns if re.search(r"(^|[_\s-])(id|key|uuid)$|number$|^id", one, re.IGNORECASE)]
    unique = [one for one in named if one != target and raw[one].is_unique and raw[one].notna().all()]
    if unique:
        yield "id", unique[0]
    dates = [one for one, column in columns.items() if column["kind"] == "date" and raw[one].notna().all()]
    if dates:
        yield "time", dates[0]


def _as_truth(word: str, kind: str) -> str:
    return ("true" if word.lower() in TRUE else "false") if kind == "boolean" else word


def _advice(raw: pd.DataFrame, columns: dict[str, Any], given: dict[str, Any]) -> Iterator[str]:
    target = given.get("target", "")
    if not target:
        yield "No target: name one with --target."
    elif texts(raw[target]).nunique() > 2:
        yield f"The target {target} has more than two values; the positive one was guessed."
    if "id" not in given:
        yield "No column names a row: set `id` where there is one."
    if "time" not in given:
        yield "No date in every row: set `time` for time-aware splits and freshness."
    if private := [name for name in columns if PROTECTED.match(name)]:
        yield f"Protected attributes? {', '.join(private)}: say who is privileged in `protected`."
    if target and texts(raw[target]).nunique() == 2:
        truth = (texts(raw[target]) == texts(raw[target]).value_counts().index[-1]).to_numpy()
        for name in columns:
            if name not in (target, given.get("id")) and (auc := _order(raw[name], truth)) >= TOO_GOOD:
                yield f"{name} alone orders the target with AUC {auc:.3f}: is it known when deciding? If not, move it to `dropped`."


def _order(cells: pd.Series, truth: np.ndarray) -> float:
    """The AUC of one column alone; of words, by their share of positives (where they are few)."""
    words = texts(cells).fillna("")
    score = pd.to_numeric(words, errors="coerce")
    if score.isna().mean() > 0.5:
        if words.nunique() > MAX_CLOSED:
            return 0.5
        score = words.map(pd.Series(truth).groupby(words.to_numpy()).mean())
    ranks = score.fillna(score.median()).rank().to_numpy()
    n_true, n = int(truth.sum()), len(truth)
    auc = (ranks[truth].sum() - n_true * (n_true + 1) / 2) / max(n_true * (n - n_true), 1)
    return float(max(auc, 1 - auc))


def _quality(raw: pd.DataFrame, columns: dict[str, Any], given: dict[str, Any]) -> None:
    quality = given["quality"]
    for name, column in columns.items():
        cells = texts(raw[name])
        share = float((cells.isna() | cells.isin(column.get("missing", []))).mean())
        if share:
            quality.setdefault("max_missing_share", {})[name] = round(min(1.0, 1.5 * share + 0.02), 3)
    target = given.get("target")
    if target and columns[target]["kind"] in ("category", "boolean"):
        word = given["positive"]
        lower = texts(raw[target]).map(lambda cell: _as_truth(cell, columns[target]["kind"]), na_action="ignore")
        share = float((lower == word).mean())
        quality["share_of_value"] = {target: {word: [round(share / 2, 4), round(min(1.0, share * 1.5), 4)]}}


def _yaml(value: dict[str, Any]) -> str:
    """A mapping of one key, a nested mapping as a block and everything inside it in one line."""
    (key, held), *_ = value.items()
    if not isinstance(held, dict) or key == "source":
        return f"{_inline(key)}: {_inline(held)}"
    return "\n".join([f"{key}:", *(f"  {_inline(name)}: {_inline(one)}" for name, one in held.items())])


def _inline(value: Any) -> str:
    text = yaml.safe_dump(_whole(value), sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _whole(value: Any) -> Any:
    """Floats that are whole as whole numbers, which read better."""
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
