"""Every file of the public set of documents converts or is refused with a reason; `-s` prints the table of docs/ingest.md."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import pytest

from data.errors import RefusedDocument
from data.folder import FoundFile, find_files
from data.reading import Reader, ReadingConfig

EXPECTED = ".expected.md"
REASONS = {"unsupported", "no_text", "encrypted", "corrupt", "wrong_extension"}
"""What may be wrong with these files. `timeout`, `crashed` and `out_of_memory` would be wrong with us."""
LEAST_SHARE = {".docx": 0.9, ".html": 0.9, ".pdf": 0.75, ".pptx": 0.9, ".xlsx": 0.9, ".csv": 0.95, ".ods": 0.95}
"""Mean share of the expected words that must be found, by format; somewhat under what was measured."""


@dataclass(frozen=True)
class Outcome:
    name: str
    reason: str
    message: str
    share: float | None

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix.lower()


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def outcome(file: FoundFile, read) -> Outcome:
    if isinstance(read, RefusedDocument):
        return Outcome(file.path.name, read.reason, str(read), None)
    expected = file.path.with_name(file.path.name + EXPECTED)
    wanted = words(expected.read_text()) if expected.exists() else Counter()
    share = (wanted & words(read.text)).total() / wanted.total() if wanted else None
    return Outcome(file.path.name, "", "", share)


@pytest.fixture(scope="module")
def outcomes(shared_data) -> list[Outcome]:
    folder = shared_data / "documents"
    files = [
        found
        for found in find_files(sorted(path for path in folder.iterdir() if path.is_dir()))
        if isinstance(found, FoundFile) and EXPECTED not in found.path.name and "_expected" not in found.uri
    ]
    with Reader(ReadingConfig(workers=1)) as reader:
        return [outcome(file, read) for file, read in reader.read_many(files)]


@pytest.mark.slow
def test_every_file_is_read_or_refused_with_a_reason_and_a_next_step(outcomes):
    by_format = defaultdict(list)
    for each in outcomes:
        by_format[each.suffix].append(each)
    print(
        "\n| format | files | converted | refused | expected words found, mean (lowest; files) |\n|---|---|---|---|---|"
    )
    for suffix, files in sorted(by_format.items()):
        refused = Counter(f.reason for f in files if f.reason)
        shares = [f.share for f in files if f.share is not None]
        found = f"{mean(shares):.3f} ({min(shares):.3f}; {len(shares)})" if shares else ""
        reasons = ", ".join(f"{n} {reason}" for reason, n in refused.items())
        print(f"| {suffix[1:]} | {len(files)} | {len(files) - refused.total()} | {reasons} | {found} |")
    assert {o.reason for o in outcomes} - {""} <= REASONS, [o for o in outcomes if o.reason]
    assert all(len(o.message) > 40 for o in outcomes if o.reason)


@pytest.mark.slow
def test_most_of_the_expected_words_are_found(outcomes):
    for suffix, least in LEAST_SHARE.items():
        shares = [o.share for o in outcomes if o.suffix == suffix and o.share is not None]
        assert not shares or mean(shares) >= least, (suffix, shares)


@pytest.mark.slow
def test_only_formats_that_are_not_read_are_refused_as_such(outcomes):
    unsupported = {o.suffix for o in outcomes if o.reason == "unsupported"}
    assert unsupported <= {".doc", ".ppt", ".gz", ".bin", ".jpg", ".zip"}
