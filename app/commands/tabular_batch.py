"""assay tabular batch claims claims-2026-03.parquet --out scores: score files in bulk, once each, resumed where a run stopped.

Exit codes: 0 good, 2 wrong use (rows that break the contract), 4 infrastructure.
"""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.console import AsJson, print_json
from app.commands.tabular_predict import Model

if TYPE_CHECKING:
    from app.settings import Settings
    from serving.tabular.batch import BatchConfig
    from serving.tabular.predictor import Predictor


def batch(
    model: Model,
    sources: Annotated[list[Path], typer.Argument(help="csv or parquet files, or folders of them.")],
    out: Annotated[Path, typer.Option(help="The folder of results, one parquet file per source.")],
    on_fault: Annotated[str, typer.Option(help="stop, or set_aside: broken rows go to RESULT.refused.jsonl.")] = "stop",
    keep: Annotated[list[str] | None, typer.Option(help="A column to copy into the result; may be repeated.")] = None,
    chunk_rows: Annotated[int, typer.Option(min=1, help="Rows at a time.")] = 100_000,
    prefect: Annotated[bool, typer.Option("--prefect", help="Run it as a Prefect flow.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score files: checked by the contract, made features, scored, written with version and time."""
    from app.settings import load_settings
    from data.errors import InvalidInput, MissingExtra

    try:
        from serving.tabular.batch import BatchConfig
        from serving.tabular.model_store import ModelStore
    except ImportError as error:
        raise MissingExtra(error.name or "pandera", extra="tabular") from error
    if on_fault not in ("stop", "set_aside"):
        raise InvalidInput(f"on-fault is {on_fault!r}.", field="on-fault", next_step="Use stop or set_aside.")
    settings = load_settings()
    config = BatchConfig(chunk_rows=chunk_rows, on_fault=on_fault, keep=tuple(keep or ()))
    name, _, wanted = model.partition("@")
    predictor = ModelStore(settings.tabular_models).predictor(name, wanted)
    if prefect:
        raise typer.Exit(_as_flow(settings, predictor, sources, out, config))
    reports = [_one(predictor, source, out, config) for source in _partitions(sources)]
    if as_json:
        print_json([asdict(one) for one in reports])
        return
    for one in reports:
        told = "was there already" if one.is_cached else f"{one.n_scored} rows, {one.n_positive} positive"
        aside = f", {one.n_refused} set aside" if one.n_refused else ""
        typer.echo(f"{one.result}: {told}{aside}")


def _one(predictor: "Predictor", source: Path, out: Path, config: "BatchConfig") -> Any:
    from serving.tabular.batch import score_partition
    from serving.tabular.partitions import result_name

    return score_partition(predictor, source, out / result_name(source), config)


def _partitions(sources: list[Path]) -> list[Path]:
    from serving.tabular.partitions import partitions

    return partitions([str(one) for one in sources])


def _as_flow(
    settings: "Settings", predictor: "Predictor", sources: list[Path], out: Path, config: "BatchConfig"
) -> int:
    """In a process of its own, whose Prefect keeps its files below `var/`."""
    from app.settings import ROOT, inherited_environment

    environment = inherited_environment()
    environment.setdefault("PREFECT_HOME", str(settings.var / "prefect"))
    folder = settings.tabular_models / predictor.model.ref
    command = [sys.executable, "-m", "serving.tabular.batch_flow", str(folder), *(str(s.resolve()) for s in sources)]
    more = [str(out.resolve()), "--digest", predictor.model.digest, "--settings", config.model_dump_json()]
    environment["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    return subprocess.run([*command, *more], cwd=ROOT, env=environment).returncode
