import hashlib
from collections import Counter
from pathlib import Path

import pytest
import yaml

from data.reading import Reader
from data.records import Sample

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
BESIDE_THE_DOCUMENTS = {"README.md", "manifest.yaml", "questions.jsonl"}


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict]:
    entries = yaml.safe_load((SAMPLES / "manifest.yaml").read_text(encoding="utf-8"))["documents"]
    assert len({entry["path"] for entry in entries}) == len(entries)
    return {entry["path"]: entry for entry in entries}


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    lines = (SAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [Sample.model_validate_json(line) for line in lines]


@pytest.fixture(scope="module")
def canonical_texts(manifest: dict[str, dict]) -> dict[str, str]:
    with Reader() as reader:
        return {path: reader.read(path, SAMPLES / path).text for path in manifest}


def test_the_manifest_lists_every_document_and_nothing_else(manifest: dict[str, dict]):
    files = {p.relative_to(SAMPLES).as_posix() for p in SAMPLES.rglob("*") if p.is_file()}
    assert set(manifest) == files - BESIDE_THE_DOCUMENTS


def test_manifest_entries_have_only_known_fields(manifest: dict[str, dict]):
    for entry in manifest.values():
        assert set(entry) <= {"path", "groups", "metadata"}
        assert {"department", "status"} <= set(entry["metadata"])
        assert all(isinstance(value, str) for value in entry["metadata"].values())


def test_nine_formats_are_represented_and_every_file_is_small(manifest: dict[str, dict]):
    suffixes = {Path(path).suffix for path in manifest}
    assert suffixes == {".md", ".txt", ".html", ".csv", ".eml", ".docx", ".pdf", ".xlsx", ".pptx"}
    assert max((SAMPLES / path).stat().st_size for path in manifest) < 60_000


def test_there_are_sixty_samples_with_unique_ids_and_questions_ten_of_them_unanswerable(samples: list[Sample]):
    assert len(samples) == 60
    assert len({sample.id for sample in samples}) == 60
    assert len({sample.question for sample in samples}) == 60
    assert Counter(sample.answerable for sample in samples) == {True: 50, False: 10}


def test_answerable_samples_have_answer_and_citations_and_the_others_neither(samples: list[Sample]):
    for sample in samples:
        assert bool(sample.answer) == bool(sample.citations) == sample.answerable, sample.id
        assert {"topic", "kind"} <= set(sample.metadata), sample.id


@pytest.mark.slow  # converts every document in a child process
def test_every_quote_is_found_verbatim_in_the_document_it_names(samples: list[Sample], canonical_texts: dict[str, str]):
    for sample in samples:
        restricted = [tuple(pair) for pair in sample.metadata.get("restricted_citations", [])]
        for path, quote in [*sample.citations, *restricted]:
            assert quote in canonical_texts[path], (sample.id, path, quote)


def test_questions_of_two_documents_cite_two(samples: list[Sample]):
    for sample in samples:
        n_cited = len({path for path, _ in sample.citations})
        assert (n_cited > 1) == (sample.metadata["kind"] == "multi"), sample.id


def test_what_everyone_may_ask_never_rests_on_a_restricted_or_superseded_document(
    samples: list[Sample], manifest: dict[str, dict]
):
    for path in {path for sample in samples for path, _ in sample.citations}:
        assert "groups" not in manifest[path], path
        assert manifest[path]["metadata"]["status"] != "superseded", path


def test_restricted_questions_rest_on_a_document_of_another_group(samples: list[Sample], manifest: dict[str, dict]):
    restricted = [sample for sample in samples if sample.metadata["kind"] == "restricted"]
    assert len(restricted) == 2
    for sample in restricted:
        for path, _ in sample.metadata["restricted_citations"]:
            assert manifest[path]["groups"] == [sample.metadata["answer_for_group"]]


def test_the_duplicate_is_really_equal_and_the_only_one(manifest: dict[str, dict]):
    digests = Counter(hashlib.sha256((SAMPLES / path).read_bytes()).hexdigest() for path in manifest)
    copies = [
        (SAMPLES / f"handbook/{name}.md").read_bytes() for name in ("field-service/on-call", "shared/on-call-copy")
    ]
    assert copies[0] == copies[1]
    assert sorted(digests.values())[-2:] == [1, 2]


@pytest.mark.slow  # converts every document in a child process
def test_superseded_and_injected_texts_are_there(manifest: dict[str, dict], canonical_texts: dict[str, str]):
    superseded = [path for path, entry in manifest.items() if entry["metadata"]["status"] == "superseded"]
    assert superseded == ["handbook/people/remote-work-2023.md"]
    injected = [path for path, text in canonical_texts.items() if "ignore all previous instructions" in text]
    assert injected == ["handbook/mail/supplier-offer-kestrel.eml"]
