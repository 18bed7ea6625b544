"""Scores files of rows in bulk: idempotent, resumed where it stopped, nothing half-written. Knows no scheduler: `batch_flow` is Prefect's.

report = score_partition(predictor, Path("claims-2026-03.parquet"), Path("scores/claims-2026-03.parquet"), BatchConfig())

A *plan* is the digest of the input's bytes, the model and the settings. A result that holds the plan is left alone; parts of an
interrupted run with the same plan are kept, and its timestamp too, so that the result is the same as of a run in one go. Chunks are
written beside the result, then joined, fsynced and renamed. One process at a time works on a result.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

from data.errors import InvalidInput, NotFound
from data.tabular.cells import plain
from data.tabular.contract import ContractBroken, faults_and_settled
from data.tabular.table import Fault, read_table
from data.tabular.table_spec import FileSource, TableSpec
from serving.tabular.predictor import Predictor

PLAN = b"assay.plan"
FORMAT = 1
"""Of results: another one makes every plan another."""


class BatchConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    chunk_rows: int = Field(100_000, ge=1)
    """Rows that are read, checked, scored and written at once."""
    on_fault: Literal["stop", "set_aside"] = "stop"
    """Whether rows that break the contract stop the run, or go to RESULT.refused.jsonl and the others are scored."""
    keep: tuple[str, ...] = ()
    """Columns copied into the result besides the row's own id."""
    max_refused_share: float = Field(0.1, ge=0, le=1)
    """More rows set aside than this stop the run all the same."""


@dataclass(frozen=True)
class BatchReport:
    """What became of one partition."""

    source: str
    result: str
    model: str
    plan: str
    n_rows: int
    n_scored: int
    n_refused: int
    n_positive: int
    n_chunks_resumed: int = 0
    is_cached: bool = False
    """Whether the result was there already."""


def score_partition(
    predictor: Predictor,
    source: Path,
    result: Path,
    config: BatchConfig = BatchConfig(),
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    on_progress: Callable[[int], None] = lambda n: None,
    threads: int = 2,
) -> BatchReport:
    """Score a csv or parquet file into a parquet file; `threads` chunks at a time. `on_progress` is told the rows that are done.

    Raises: NotFound; ContractBroken naming the cells at fault, with nothing of the result written.
    """
    if not source.is_file():
        raise NotFound(f"There is no file {source}.", next_step="Name a csv or parquet file, or a folder of them.")
    plan = plan_of(predictor, source, config)
    with _alone(result):
        if (done := _finished(result, plan)) is not None:
            return done
        parts = _Parts(result, plan, now)
        resumed = 0
        with ThreadPoolExecutor(threads, thread_name_prefix="batch") as pool:
            running: deque[Future[None]] = deque()
            for at, frame in enumerate(_chunks(source, predictor, config.chunk_rows)):
                if parts.has(at):
                    resumed += 1
                    continue
                running.append(pool.submit(parts.score, predictor, frame, config, at))
                if len(running) == threads:  # no more than these in memory, and their errors in their order
                    running.popleft().result()
                    on_progress((at + 2 - threads) * config.chunk_rows)
            for one in running:
                one.result()
        report = parts.join(predictor, source, resumed, config)
        parts.remove()
    return report


def plan_of(predictor: Predictor, source: Path, config: BatchConfig) -> str:
    """What decides a result: equal plans, equal results but for the timestamp."""
    with source.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    decided = [FORMAT, content, source.suffix, predictor.model.ref, predictor.model.digest, config.model_dump_json()]
    return hashlib.sha256(json.dumps(decided).encode()).hexdigest()


def scoring_spec(predictor: Predictor) -> TableSpec:
    """The contract of the columns that the model reads: what is checked before rows are scored."""
    spec = predictor.model.spec
    columns = {name: spec.columns[name] for name in spec.columns if name in predictor.model.features.columns}
    return TableSpec(name=spec.name, source=spec.source, columns=columns)


@dataclass(frozen=True)
class _Chunk:
    table: pa.Table
    refused: list[dict[str, Any]]


def _scored(predictor: Predictor, raw: pd.DataFrame, config: BatchConfig, at: int, scored_at: datetime) -> _Chunk:
    """One chunk: checked, made features, scored."""
    spec, first = predictor.model.spec, at * config.chunk_rows
    _check_columns(raw, spec, config)
    read = scoring_spec(predictor)
    settled, faults = faults_and_settled(raw[[name for name in read.columns if name in raw]], read)
    if faults and (config.on_fault == "stop" or any(fault.row is None for fault in faults)):
        raise ContractBroken(spec.name, [_numbered(fault, first) for fault in faults], next_step=_NEXT)
    is_good = np.ones(len(raw), dtype=bool)
    is_good[[fault.row for fault in faults]] = False
    if faults:
        settled, raw_kept = settled[is_good].reset_index(drop=True), raw[is_good]
    else:
        raw_kept = raw
    found = predictor.score_table(settled)
    kept = [name for name in dict.fromkeys((spec.id, *config.keep)) if name in raw]
    columns: dict[str, Any] = {name: pa.Array.from_pandas(_uncoded(raw_kept[name])) for name in kept}
    n = len(found)
    columns |= {"row": pa.array(np.flatnonzero(is_good) + first)} if not spec.id else {}
    columns |= {
        "score": pa.array(found.scores),
        "decision": pa.array(found.decisions),
        "model_name": _same(predictor.name, n),
        "model_version": _same(predictor.version, n),
        "scored_at": pa.array(
            np.full(n, np.datetime64(scored_at.replace(tzinfo=None), "us")), pa.timestamp("us", "UTC")
        ),
    }
    return _Chunk(pa.table(columns), _refused(raw, faults, first))


def _uncoded(cells: pd.Series) -> pd.Series:
    return cells.astype(object) if isinstance(cells.dtype, pd.CategoricalDtype) else cells


_NEXT = "Mend the rows, or set them aside with: --on-fault set_aside"


def _check_columns(raw: pd.DataFrame, spec: TableSpec, config: BatchConfig) -> None:
    if unknown := [str(name) for name in raw if name not in spec.columns]:
        faults = [Fault(None, name, None, f"{spec.name} has no such column; name it in `dropped`") for name in unknown]
        raise ContractBroken(spec.name, faults)
    if absent := [name for name in config.keep if name not in raw]:
        raise InvalidInput(f"There is no column {', '.join(absent)} to keep.", field="keep")


def _refused(raw: pd.DataFrame, faults: list[Fault], first: int) -> list[dict[str, Any]]:
    by_row: dict[int, list[str]] = {}
    for fault in faults:
        by_row.setdefault(fault.row, []).append(f"{fault.column}: {fault.value!r} is not {fault.allowed}")
    return [
        {"row": first + row, "faults": told, "values": {str(k): _json(v) for k, v in raw.iloc[row].items()}}
        for row, told in sorted(by_row.items())
    ]


def _json(value: Any) -> Any:
    return None if pd.isna(value) else plain(value)


def _numbered(fault: Fault, first: int) -> Fault:
    return Fault(None if fault.row is None else fault.row + first, fault.column, fault.value, fault.allowed)


def _same(word: str, n: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), pa.array([word]))


def _chunks(source: Path, predictor: Predictor, n_rows: int) -> Iterator[pd.DataFrame]:
    """A parquet file is read piece by piece; a csv file at once: what its columns hold is only seen as a whole.

    Words that the model reads come as codes, for a string object per cell would cost more than the trees.
    """
    spec = predictor.model.spec
    coded = {name for name in predictor.model.features.columns if spec.columns[name].kind == "category"}
    if source.suffix == ".parquet":
        schema = pq.read_schema(source)
        read = [name for name in schema.names if name not in spec.dropped]
        words = [name for name in read if name in coded and pa.types.is_string(schema.field(name).type)]
        with pq.ParquetFile(source, read_dictionary=words) as file:
            for batch in file.iter_batches(n_rows, columns=read):
                yield batch.to_pandas()
        return
    frame = read_table(spec.model_copy(update={"source": FileSource(kind="csv", paths=(source.resolve(),))}))
    for start in range(0, len(frame), n_rows):
        yield frame.iloc[start : start + n_rows].reset_index(drop=True)


class _Parts:
    """Chunks that are done, in a folder beside the result."""

    def __init__(self, result: Path, plan: str, now: Callable[[], datetime]) -> None:
        self._result, self._plan = result, plan
        self._folder = result.parent / f".{result.name}.parts-{plan[:16]}"
        for other in result.parent.glob(f".{result.name}.parts-*"):
            if other != self._folder:
                shutil.rmtree(other)  # of an input, model or settings that are no more
        self._folder.mkdir(parents=True, exist_ok=True)
        begun = self._folder / "begun"
        if not begun.exists():
            _write_whole(begun, now().isoformat().encode())
        self.scored_at = datetime.fromisoformat(begun.read_text())

    def has(self, at: int) -> bool:
        return self._refused(at).exists()  # written last

    def score(self, predictor: Predictor, frame: pd.DataFrame, config: BatchConfig, at: int) -> None:
        self.write(at, _scored(predictor, frame, config, at, self.scored_at))

    def write(self, at: int, chunk: _Chunk) -> None:
        with _whole(self._table(at)) as aside:
            pq.write_table(chunk.table, aside)
        _write_whole(self._refused(at), b"".join(json.dumps(one).encode() + b"\n" for one in chunk.refused))

    def join(self, predictor: Predictor, source: Path, resumed: int, config: BatchConfig) -> BatchReport:
        tables = sorted(self._folder.glob("*.parquet"))
        refused = b"".join(path.read_bytes() for path in sorted(self._folder.glob("*.refused")))
        n_refused = refused.count(b"\n")
        n_scored = sum(pq.read_metadata(path).num_rows for path in tables)
        if n_refused > config.max_refused_share * (n_scored + n_refused):
            raise InvalidInput(
                f"{n_refused} of {n_scored + n_refused} rows of {source} break the contract.",
                field="max_refused_share",
                next_step=f"Mend the file, or raise max_refused_share above {config.max_refused_share:g}.",
            )
        report = BatchReport(
            source=str(source),
            result=str(self._result),
            model=predictor.model.ref,
            plan=self._plan,
            n_rows=n_scored + n_refused,
            n_scored=n_scored,
            n_refused=n_refused,
            n_positive=sum(_n_positive(path) for path in tables),
            n_chunks_resumed=resumed,
        )
        aside = self._result.with_name(self._result.name + ".refused.jsonl")
        if refused:
            _write_whole(aside, refused)
        else:
            aside.unlink(missing_ok=True)
        self._write_result(tables, report, predictor)
        return report

    def remove(self) -> None:
        shutil.rmtree(self._folder)

    def _write_result(self, tables: list[Path], report: BatchReport, predictor: Predictor) -> None:
        if not tables:
            raise InvalidInput(f"{report.source} has no rows.", field="source")
        schema = pq.read_schema(tables[0])
        facts = {PLAN: self._plan.encode(), b"assay.report": json.dumps(vars(report)).encode()}
        facts[b"assay.model_digest"] = predictor.model.digest.encode()
        schema = schema.with_metadata((schema.metadata or {}) | facts)
        with _whole(self._result) as aside, pq.ParquetWriter(aside, schema) as writer:
            for path in tables:
                writer.write_table(pq.read_table(path).replace_schema_metadata(schema.metadata))

    def _table(self, at: int) -> Path:
        return self._folder / f"{at:08d}.parquet"

    def _refused(self, at: int) -> Path:
        return self._folder / f"{at:08d}.refused"


def _n_positive(path: Path) -> int:
    return int(pq.read_table(path, columns=["decision"])["decision"].to_numpy().sum())


def _finished(result: Path, plan: str) -> BatchReport | None:
    if not result.is_file():
        return None
    facts = pq.read_schema(result).metadata or {}
    if facts.get(PLAN) != plan.encode():
        return None
    return BatchReport(**json.loads(facts[b"assay.report"]) | {"is_cached": True, "result": str(result)})


@contextmanager
def _alone(result: Path) -> Iterator[None]:
    result.parent.mkdir(parents=True, exist_ok=True)
    with (result.parent / f".{result.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` once all of it is on the disk."""
    aside = path.with_name(f"{path.name}.incoming")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _write_whole(path: Path, content: bytes) -> None:
    with _whole(path) as aside:
        aside.write_bytes(content)
