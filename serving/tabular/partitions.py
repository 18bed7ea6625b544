"""Which files a bulk run reads, and what their results are called."""

from pathlib import Path

from data.errors import InvalidInput, NotFound

FORMS = (".parquet", ".csv", ".gz")


def partitions(sources: list[str]) -> list[Path]:
    """Files as they are named, and those in named folders, sorted. Raises: NotFound; InvalidInput for equal names."""
    found: list[Path] = []
    for source in map(Path, sources):
        inside = sorted(one for one in source.glob("*") if one.suffix in FORMS) if source.is_dir() else [source]
        if not inside or not inside[0].is_file():
            raise NotFound(f"{source} holds no csv or parquet file.")
        found += inside
    names = [result_name(one) for one in found]
    if doubles := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput(f"Two partitions would be written to {doubles[0]}.", field="sources")
    return found


def result_name(source: Path) -> str:
    return f"{source.name.split('.')[0]}.parquet"
