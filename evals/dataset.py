"""Samples out of a file: one JSON object a line, plain or gzipped. Knows no scorer and no target."""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import JsonValue, ValidationError

from data.errors import InvalidInput
from data.records import Sample
from evals.suite import DatasetSpec

MOST_ERRORS = 10


def load_samples(spec: DatasetSpec) -> list[Sample]:
    """Raises: InvalidInput naming every wrong line (the first ten), a repeated id, or an empty choice."""
    samples: dict[str, Sample] = {}
    problems: list[str] = []
    for number, line in enumerate(_text(spec.path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            sample = Sample.model_validate_json(line)
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'line'}: {e['msg']}" for e in error.errors())
            problems.append(f"line {number}: {told}")
            continue
        if sample.id in samples:
            problems.append(f"line {number}: the id {sample.id!r} was there before")
        samples[sample.id] = sample
    if problems:
        more = f" ... and {len(problems) - MOST_ERRORS} more" if len(problems) > MOST_ERRORS else ""
        raise InvalidInput(
            f"{spec.path} has {len(problems)} wrong line{'s' * (len(problems) > 1)}: "
            + "; ".join(problems[:MOST_ERRORS])
            + more
            + ".",
            field="dataset.path",
            next_step=f"A line is a JSON object with {', '.join(Sample.model_fields)}; id and question are a must.",
        )
    chosen = [sample for sample in samples.values() if _matches(sample, spec.where)]
    if not chosen:
        raise InvalidInput(
            f"{spec.path} has {len(samples)} samples, and none that the suite chooses.",
            field="dataset.where",
            next_step="Mend dataset.where, or add samples.",
        )
    return chosen[: spec.limit or None]


def samples_digest(samples: Iterable[Sample]) -> str:
    """sha256 over all samples in their order."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.model_dump_json().encode("utf-8", "replace") + b"\n")
    return digest.hexdigest()


def _matches(sample: Sample, where: Mapping[str, tuple[JsonValue, ...]]) -> bool:
    return all(sample.metadata.get(name) in allowed for name, allowed in where.items())


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"The samples in {path} cannot be read: {error}.",
            field="dataset.path",
            next_step="dataset.path is relative to the suite's own folder.",
        ) from error
