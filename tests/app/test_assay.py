"""Ingest from files to search, over the whole product with a fake embedder."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from app.assay import Assay, Placement
from data.errors import NotFound
from data.records import Filter, FilterOp, Principal, Query
from tests.app.product import open_product
from tests.running_server import clean_environment

LONG = [f"Paragraph {n} tells of subject{n} in twenty words " + "and some more filler " * 12 for n in range(12)]


@pytest.fixture
def assay(tmp_path):
    made = open_product(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "docs"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_text("alpha words about apples")
    (root / "b.txt").write_text("beta words about boats")
    (root / "sub" / "c.md").write_text("# Gamma\n\ngamma words about games")
    return root


def ingested(assay: Assay, *paths: Path, sync: bool = False, **placement) -> dict[str, str]:
    """File name -> status; the index is up to date afterwards."""
    events = list(assay.ingest(paths, Placement(**placement), sync=sync))
    assay.settle()
    return {Path(e.uri).name: e.status for e in events}


def found(assay: Assay, text: str, *groups: str, **query) -> list[str]:
    """Names of every source of the hits, best first."""
    who = Principal(groups=frozenset(groups))
    hits = assay.search(Query(text=text, principal=who, mode="lexical", **query)).hits
    return [Path(s.uri).name for hit in hits for s in hit.sources]


@pytest.mark.slow
def test_a_folder_is_ingested_and_every_file_is_found(assay, folder):
    (folder / "d.html").write_text("<h1>Delta</h1><p>delta words about doors</p>")
    assert ingested(assay, folder) == dict.fromkeys(["a.txt", "b.txt", "c.md", "d.html"], "added")
    assert found(assay, "doors") == ["d.html"]
    assert found(assay, "apples") == ["a.txt"]
    assert found(assay, "boats") == ["b.txt"]
    assert found(assay, "games") == ["c.md"]
    assert assay.keeper.agreement().holds


def test_an_unchanged_file_is_neither_read_nor_embedded_again(assay, folder):
    ingested(assay, folder)
    reader, embedder = assay.stores.reader, assay.stores.encoders.active()
    reader.names.clear()
    embedder.texts.clear()
    generation = assay.stores.database.current_generation()
    assert set(ingested(assay, folder).values()) == {"unchanged"}
    assert reader.names == []
    assert embedder.texts == []
    assert assay.stores.database.current_generation() == generation


def test_only_changed_chunks_are_embedded_again(assay, folder):
    path = folder / "long.txt"
    path.write_text("\n\n".join(LONG))
    ingested(assay, path)
    embedder = assay.stores.encoders.active()
    n_first = len(embedder.texts)
    assert n_first >= 4
    embedder.texts.clear()
    path.write_text("\n\n".join([*LONG[:-1], LONG[-1].replace("subject11", "renamed11")]))
    assert ingested(assay, path) == {"long.txt": "updated"}
    assert len(embedder.texts) == 1
    assert found(assay, "renamed11") == ["long.txt"]
    assert found(assay, "subject11") == []
    assert assay.catalog.feed.n_chunks() == n_first
    assert assay.keeper.agreement().holds


def test_sync_removes_what_vanished_below_the_given_folder_only(assay, folder, tmp_path):
    other = tmp_path / "docs-other"  # the same prefix, another folder
    other.mkdir()
    (other / "d.txt").write_text("delta words")
    ingested(assay, folder, other)
    (folder / "a.txt").unlink()
    (other / "d.txt").unlink()
    (folder / "sub" / "c.md").unlink()
    assert "removed" not in ingested(assay, folder).values(), "without --sync nothing is removed"
    assert ingested(assay, folder / "sub", sync=True) == {"c.md": "removed"}
    assert ingested(assay, folder, sync=True) == {"b.txt": "unchanged", "a.txt": "removed"}
    assert found(assay, "apples games") == []
    assert found(assay, "delta") == ["d.txt"]
    assert assay.keeper.agreement().holds


def test_sync_keeps_what_it_cannot_tell_to_be_gone(assay, folder, monkeypatch):
    ingested(assay, folder)
    listed, closed = os.scandir, str(folder / "sub")

    def scandir(path):  # permissions do not bind root, who may run the tests
        if str(path) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert ingested(assay, folder, sync=True) == {"a.txt": "unchanged", "b.txt": "unchanged", "sub": "refused"}
    assert found(assay, "games") == ["c.md"]


def test_sync_keeps_a_source_whose_file_became_unreadable(assay, folder):
    ingested(assay, folder)
    (folder / "b.txt").write_bytes(b"")
    assert ingested(assay, folder, sync=True)["b.txt"] == "refused"
    assert found(assay, "boats") == ["b.txt"]


def test_sync_leaves_other_collections_and_tenants_alone(assay, folder):
    ingested(assay, folder, collection="one")
    ingested(assay, folder, collection="two")
    ingested(assay, folder, tenant="other", collection="one")
    (folder / "a.txt").unlink()
    ingested(assay, folder, collection="one", sync=True)
    assert len(assay.documents(Principal(), "one")[0]) == 2
    assert len(assay.documents(Principal(), "two")[0]) == 3
    assert len(assay.documents(Principal(tenant="other"), "one")[0]) == 3


def test_a_renamed_file_moves_without_being_embedded_again(assay, folder):
    (folder / "titled.md").write_text("# Own title\n\nzebra words")
    ingested(assay, folder)
    embedder = assay.stores.encoders.active()
    embedder.texts.clear()
    (folder / "titled.md").rename(folder / "moved.md")
    outcome = ingested(assay, folder, sync=True)
    assert (outcome["moved.md"], outcome["titled.md"]) == ("added", "removed")
    assert embedder.texts == []
    assert found(assay, "zebra") == ["moved.md"]


def test_the_same_text_under_two_names_is_stored_once_and_each_source_keeps_its_own_groups(assay, tmp_path):
    for name in ("open.txt", "secret.txt", "third.txt"):
        (tmp_path / name).write_text("the very same words about walnuts")
    ingested(assay, tmp_path / "open.txt")
    embedder = assay.stores.encoders.active()
    embedder.texts.clear()
    ingested(assay, tmp_path / "secret.txt", groups=frozenset({"board"}))
    ingested(assay, tmp_path / "third.txt", groups=frozenset({"staff"}))
    assert embedder.texts == []
    assert assay.catalog.feed.n_chunks() == 1
    assert found(assay, "walnuts") == ["open.txt"]
    assert sorted(found(assay, "walnuts", "board")) == ["open.txt", "secret.txt"]
    assert sorted(found(assay, "walnuts", "board", "staff")) == ["open.txt", "secret.txt", "third.txt"]


def test_deleting_one_of_two_sources_keeps_the_other_with_its_rights(assay, tmp_path):
    for name in ("open.txt", "secret.txt"):
        (tmp_path / name).write_text("the very same words about walnuts")
    ingested(assay, tmp_path / "open.txt")
    ingested(assay, tmp_path / "secret.txt", groups=frozenset({"board"}))
    ids = {d.title: d.id for d in assay.documents(Principal(groups=frozenset({"board"})))[0]}
    assay.forget = lambda identity: 0  # this product answers nothing
    assay.delete(ids["open"], Principal())
    assert found(assay, "walnuts") == []
    assert found(assay, "walnuts", "board") == ["secret.txt"]
    assay.delete(ids["secret"], Principal(groups=frozenset({"board"})))
    assert found(assay, "walnuts", "board") == []
    assert assay.catalog.feed.n_chunks() == 0
    assert assay.keeper.agreement().holds


def test_equal_texts_of_two_tenants_are_stored_apart(assay, folder):
    ingested(assay, folder / "a.txt")
    ingested(assay, folder / "a.txt", tenant="other")
    assert assay.catalog.feed.n_chunks() == 2
    hits = assay.search(Query(text="apples", principal=Principal(tenant="other"))).hits
    assert [len(hit.sources) for hit in hits] == [1]


def test_a_change_of_groups_alone_is_an_update_that_takes_effect_inside_the_search(assay, folder):
    (folder / "crowd").mkdir()
    for n in range(40):
        (folder / "crowd" / f"{n}.txt").write_text(f"apples apples apples {n}")
    ingested(assay, folder)
    embedder = assay.stores.encoders.active()
    embedder.texts.clear()
    outcome = ingested(assay, folder / "crowd", groups=frozenset({"board"}))
    assert Counter(outcome.values()) == {"updated": 40}
    assert embedder.texts == []
    for mode in ("lexical", "dense", "hybrid"):
        hits = assay.search(Query(text="apples", k=3, mode=mode)).hits
        assert [Path(h.sources[0].uri).name for h in hits if "crowd" in h.sources[0].uri] == []
        assert len(hits) == 3 or mode == "lexical"
    assert found(assay, "apples", k=1) == ["a.txt"]
    assert len(found(assay, "apples", "board", k=50)) == 41
    assert set(ingested(assay, folder / "crowd", groups=frozenset({"board"})).values()) == {"unchanged"}


def test_a_change_of_metadata_alone_is_an_update_that_filters_follow(assay, folder):
    year = lambda n: (Filter(field="year", op=FilterOp.EQUALS, value=n),)  # noqa: E731
    ingested(assay, folder / "a.txt", metadata=(("year", 2025),))
    assert found(assay, "apples", filters=year(2025)) == ["a.txt"]
    assert ingested(assay, folder / "a.txt", metadata=(("year", 2026),)) == {"a.txt": "updated"}
    assert found(assay, "apples", filters=year(2025)) == []
    assert found(assay, "apples", filters=year(2026)) == ["a.txt"]


def test_metadata_that_is_no_longer_given_goes_and_what_the_file_itself_carries_stays(assay, folder):
    mail = folder / "m.eml"
    mail.write_text("From: Ada <ada@tern.example>\nSubject: Rates\n\nThe rate is four.")
    ingested(assay, mail, metadata=(("status", "current"), ("year", 2026)))
    assert ingested(assay, mail, metadata=(("status", "current"), ("year", 2026))) == {"m.eml": "unchanged"}
    assert ingested(assay, mail, metadata=(("status", "current"),)) == {"m.eml": "updated"}
    assert ingested(assay, mail) == {"m.eml": "updated"}
    (stored,) = assay.documents(Principal())[0]
    assert set(stored.metadata) == {"from"}
    assert ingested(assay, mail) == {"m.eml": "unchanged"}


def test_an_upload_without_its_metadata_loses_it(assay):
    assay.add_document("note.txt", b"walnut oil", Placement(metadata=(("year", 2026),)))
    document, event = assay.add_document("note.txt", b"walnut oil", Placement())
    assert (event.status, document.metadata) == ("updated", {})


def test_one_bad_file_costs_itself_alone_and_an_earlier_version_of_it_stays(assay, folder):
    ingested(assay, folder)
    (folder / "b.txt").write_bytes(b"")
    (folder / "bad.docx").write_bytes(b"no zip")
    (folder / "what.xyz").write_bytes(b"?")
    os.mkfifo(folder / "pipe")
    events = {Path(e.uri).name: e for e in assay.ingest([folder], Placement())}
    reasons = {name: e.reason for name, e in events.items() if e.status == "refused"}
    assert reasons == {"b.txt": "empty", "bad.docx": "corrupt", "what.xyz": "unsupported", "pipe": "not_a_file"}
    assert all(e.message and e.next_step for e in events.values() if e.status == "refused")
    assert found(assay, "boats") == ["b.txt"]


def test_names_that_are_no_unicode_or_hold_newlines_are_ingested(assay, tmp_path):
    root = tmp_path / "odd"
    root.mkdir()
    for n, name in enumerate([b"\xff\xfe.txt", b"new\nline.txt", "📎.txt".encode()]):
        Path(os.fsdecode(bytes(root) + b"/" + name)).write_text(f"oddity number {n}")
    assert Counter(ingested(assay, root).values()) == {"added": 3}
    assert len(found(assay, "oddity")) == 3
    assert all(d.title.encode() for d in assay.documents(Principal())[0])


@pytest.mark.slow
def test_an_interrupted_ingest_goes_on_where_it_was(assay, tmp_path):
    root = tmp_path / "many"
    root.mkdir()
    for n in range(200):
        (root / f"{n:03}.txt").write_text(f"parcel{n}")
    events = assay.ingest([root], Placement())
    done = {next(events).document_id for _ in range(70)}
    events.close()
    statuses = Counter(e.status for e in assay.ingest([root], Placement()))
    assert statuses["unchanged"] >= len(done)
    assert sum(statuses.values()) == 200
    assay.settle()
    assert assay.keeper.agreement().holds
    assert assay.catalog.feed.n_chunks() == 200


def test_an_upload_is_searchable_when_it_returns_and_again_is_unchanged(assay):
    document, event = assay.add_document("note.txt", b"walnut oil", Placement())
    assert event.status == "added"
    assert [h.sources[0].document_id for h in assay.search(Query(text="walnut")).hits] == [document.id]
    assert assay.add_document("note.txt", b"walnut oil", Placement())[1].status == "unchanged"
    changed, event = assay.add_document("note.txt", b"olive oil", Placement())
    assert (event.status, changed.id, changed.version) == ("updated", document.id, 2)
    with pytest.raises(NotFound):
        assay.document(document.id, Principal(tenant="other"))


def test_the_embedding_model_changes_while_searches_and_writes_go_on(assay, folder):
    ingested(assay, folder)
    steps = assay.change_embedder("wide")
    next(steps)
    assert assay.keeper.snapshot().embedder == "hashing-64"
    assay.add_document("late.txt", b"written during the change", Placement())
    assert found(assay, "written change")[0] == "late.txt"
    assert list(steps), "the late document is embedded before the switch"
    assert assay.keeper.snapshot().embedder == "hashing-128"
    assert assay.embedder.dim == 128
    hits = assay.search(Query(text="written during the change", mode="dense", k=1)).hits
    assert Path(hits[0].sources[0].uri).name == "late.txt"
    assert assay.catalog.feed.n_vectors("hashing-64") == 0
    assert assay.keeper.agreement().holds
    assert ingested(assay, folder) == {"a.txt": "unchanged", "b.txt": "unchanged", "c.md": "unchanged"}


def test_an_interrupted_change_of_model_resumes(assay, folder):
    ingested(assay, folder)
    steps = assay.change_embedder("wide")
    next(steps)
    steps.close()
    assert assay.embedder.id == "hashing-64"
    wide = assay.stores.encoders.load("wide")
    wide.texts.clear()
    list(assay.change_embedder("wide"))
    assert wide.texts == []
    assert assay.keeper.agreement().holds


SERVER = """
import json, sys
from pathlib import Path
from app.telemetry import configure_logging
from data.records import Query
from tests.app.product import open_product

configure_logging("warning")
assay = open_product(Path(sys.argv[1]))
assay.start()
print("ready", flush=True)
for line in sys.stdin:
    result = assay.search(Query(text=line.strip(), mode="dense", k=1))
    names = [Path(h.sources[0].uri).name for h in result.hits]
    facts = {"found": names, "embedder": assay.keeper.snapshot().embedder, "owner": assay.keeper.is_owner}
    print(json.dumps(facts), flush=True)
assay.close()
"""


@pytest.fixture
def serving(tmp_path):
    """A second process that owns the index and searches; call it with a text."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path / "home")],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def search(text: str) -> dict:
        process.stdin.write(text + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    with process:
        assert process.stdout.readline() == "ready\n"
        yield search
        process.stdin.close()


@pytest.mark.slow
def test_the_model_changes_under_a_serving_process_whose_searches_go_on(serving, tmp_path, folder):
    (tmp_path / "home").mkdir(exist_ok=True)
    assay = open_product(tmp_path / "home")
    ingested(assay, folder)
    for n in range(40):
        assay.add_document(f"{n}.txt", f"filler {n}".encode(), Placement())
    seen = []
    for _ in assay.change_embedder("wide"):
        seen.append(serving("alpha words about apples"))
    assert serving("alpha words about apples") == {"found": ["a.txt"], "embedder": "hashing-128", "owner": True}
    assert all(s["found"] == ["a.txt"] and s["owner"] for s in seen)
    assert {s["embedder"] for s in seen} == {"hashing-64"}
    assert not assay.keeper.is_owner
    assert assay.keeper.agreement().holds
    assay.close()
