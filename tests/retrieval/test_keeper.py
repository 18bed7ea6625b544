import json
import shutil
import threading
import time

import numpy as np
import pytest

from data.records import Principal
from retrieval.config import IndexConfig
from retrieval.embedding import HashingEmbedder
from retrieval.ingest import embed_missing
from tests.retrieval.conftest import Library

SMALL = IndexConfig(merge_at_rows=4, poll_s=0.02)


@pytest.fixture
def merging(tmp_path):
    made = Library(tmp_path, SMALL)
    yield made
    made.close()


def reopened(library: Library) -> Library:
    library.close()
    return Library(library.folder, library.index)


def test_an_acknowledged_write_is_searchable_and_the_three_stores_agree(library):
    library.add({"a": "alpha", "b": "beta"})
    assert library.found("alpha")[0] == "a"
    assert library.keeper.agreement().holds


def test_a_merge_changes_no_result(merging):
    merging.add({f"d{n}": f"topic{n} text about topic{n}" for n in range(30)})
    before = [merging.found(f"topic{n}") for n in range(30)]
    merging.keeper.merge()
    assert merging.keeper.snapshot().main is not None
    assert not len(merging.keeper.snapshot().delta.rows)
    assert [merging.found(f"topic{n}") for n in range(30)] == before
    assert merging.keeper.agreement().holds


def test_writes_after_a_merge_supersede_rows_of_the_main_index(merging):
    merging.add({f"d{n}": f"topic{n}" for n in range(10)})
    merging.keeper.merge()
    merging.add({"d3": "renamed subject"})
    merging.remove("d4")
    assert merging.found("renamed subject")[0] == "d3"
    assert "d4" not in merging.found("topic4", k=10)
    assert merging.keeper.snapshot().n_superseded == 2
    assert merging.keeper.agreement().holds


def test_a_restart_finds_what_was_merged_and_what_was_not(merging):
    merging.add({f"d{n}": f"topic{n}" for n in range(10)})
    merging.keeper.merge()
    merging.add({"late": "written after the merge"})
    again = reopened(merging)
    assert again.found("written after the merge")[0] == "late"
    assert again.found("topic7")[0] == "d7"
    assert again.keeper.agreement().holds
    again.close()


@pytest.mark.parametrize(
    "harm", ["delete everything", "truncate dense", "truncate lexical", "no pointer", "torn pointer"]
)
@pytest.mark.slow
def test_a_lost_or_torn_index_is_rebuilt_from_the_database(merging, harm):
    merging.add({f"d{n}": f"topic{n}" for n in range(10)})
    merging.keeper.merge()
    merging.close()
    index = merging.folder / "index"
    pointer = json.loads((index / "current.json").read_text())
    if harm == "delete everything":
        shutil.rmtree(index)
    elif harm == "no pointer":
        (index / "current.json").unlink()
    elif harm == "torn pointer":
        (index / "current.json").write_text('{"dense": "den')
    else:
        for path in (index / pointer[harm.split()[1]]).iterdir():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = Library(merging.folder, SMALL)
    assert again.found("topic7")[0] == "d7"
    assert again.keeper.agreement().holds
    again.close()


def test_an_index_that_is_behind_catches_up(library):
    library.add({"a": "alpha"})
    library.keeper.close()
    list(library.ingester.remove({"a": library.catalog.id_of("default", "c", "a")}))
    library.keeper = library.new_keeper()
    assert library.found("alpha") == []
    assert library.keeper.agreement().holds


def test_a_second_process_follows_the_owner_and_inherits_when_it_goes(library):
    library.add({"a": "alpha"})
    follower = library.new_keeper()
    follower.open()
    assert library.keeper.is_owner
    assert not follower.is_owner
    library.add({"b": "beta"})
    assert follower.catch_up().generation == library.keeper.snapshot().generation
    assert follower.agreement().holds
    library.keeper.close()
    follower.catch_up()
    assert follower.is_owner
    library.keeper = follower
    library.add({"c": "gamma"})
    assert library.found("gamma")[0] == "c"


def test_a_follower_sees_everything_at_once_also_when_the_owner_writes_no_more(library):
    library.add({"a": "alpha"})
    follower = library.new_keeper()
    assert follower.snapshot().generation == library.keeper.snapshot().generation
    assert follower.snapshot().n_chunks == 1
    assert follower.agreement().holds
    assert not follower.is_owner
    follower.close()


def test_a_follower_has_the_owner_merge_and_rebuild_and_never_writes_itself(merging):
    merging.add({f"d{n}": f"topic{n}" for n in range(3)})
    merging.keeper.start()
    follower = merging.new_keeper()
    lexical_before = json.loads((merging.folder / "index" / "current.json").read_text())["lexical"]
    assert follower.merge().main is not None
    follower.rebuild_lexical()
    pointer = json.loads((merging.folder / "index" / "current.json").read_text())
    assert pointer["lexical"] != lexical_before
    assert not follower.is_owner
    assert not (merging.folder / "index" / lexical_before).exists()
    merging.add({"late": "after the merge"})
    assert merging.keeper.agreement().holds
    assert follower.agreement().holds
    assert list((merging.folder / "index").glob("*.wanted")) == []
    follower.close()


@pytest.mark.slow
def test_a_follower_does_the_work_itself_when_the_owner_goes_away(library):
    library.add({f"d{n}": f"topic{n}" for n in range(3)})  # no background thread: this owner does no errands
    follower = library.new_keeper()
    follower.open()
    threading.Timer(0.5, library.keeper.close).start()
    assert follower.merge().main is not None
    assert follower.is_owner
    assert follower.agreement().holds
    library.keeper = follower


def test_writes_of_other_processes_become_searchable_within_a_second(merging):
    merging.add({"a": "alpha"})
    merging.keeper.start()
    other = Library.__new__(Library)
    from data.database import Database

    other.database = Database(merging.database.url)
    from retrieval.catalog import Catalog
    from retrieval.config import IngestConfig
    from retrieval.ingest import Destination, Ingester
    from tests.retrieval.conftest import source

    ingester = Ingester(Catalog(other.database), lambda: merging.embedder, IngestConfig())
    list(ingester.run([source("b", "beta from elsewhere")], Destination("default", "c")))
    acknowledged = time.monotonic()
    while "b" not in merging.found("beta elsewhere"):
        assert time.monotonic() - acknowledged < 1.0
        time.sleep(0.01)
    other.database.close()


@pytest.mark.slow
def test_searches_go_on_while_writes_and_merges_happen(merging):
    merging.add({f"d{n}": f"topic{n}" for n in range(20)})
    merging.keeper.start()
    stop, wrong = threading.Event(), []

    def search():
        while not stop.is_set():
            found = merging.found("topic7", k=3)
            if not found or found[0] != "d7":
                wrong.append(found)

    thread = threading.Thread(target=search)
    thread.start()
    for n in range(15):
        merging.add({f"new{n}": f"unrelated words {n}"})
        merging.keeper.merge()
    stop.set()
    thread.join()
    assert wrong == []


def test_equal_snapshots_give_bit_identical_results_and_writes_make_new_snapshots(library):
    library.add({f"d{n}": f"topic{n} words" for n in range(50)})
    first, again = library.search("topic7 words"), library.search("topic7 words")
    assert first.snapshot_id == again.snapshot_id
    assert first.hits == again.hits
    library.add({"x": "more"})
    assert library.search("topic7 words").snapshot_id != first.snapshot_id


def test_k_results_are_k_allowed_results(library):
    library.add({f"secret{n}": "budget report budget" for n in range(1)}, tenant="acme", groups=["finance"])
    library.add({f"secret{n}": f"budget report budget {n}" for n in range(60)}, tenant="acme", groups=["finance"])
    library.add({f"open{n}": f"a much longer text that mentions the budget once {n}" for n in range(12)}, tenant="acme")
    outsider = Principal(tenant="acme", groups=frozenset({"sales"}))
    for mode in ("lexical", "dense", "hybrid"):
        found = library.found("budget report", principal=outsider, k=10, mode=mode)
        assert len(found) == 10
        assert all(uri.startswith("open") for uri in found)


def test_the_embedding_model_changes_without_downtime(library):
    library.add({f"d{n}": f"topic{n}" for n in range(10)})
    old, new = library.embedder, HashingEmbedder(32)
    list(embed_missing(library.catalog, new))
    assert library.found("topic3")[0] == "d3"
    library.embedder = new
    assert library.keeper.snapshot().embedder == old.id
    library.keeper.merge()
    assert library.keeper.snapshot().embedder == new.id
    assert library.found("topic3")[0] == "d3"
    assert library.keeper.agreement().holds


def test_delta_scores_are_exact(library):
    library.add({f"d{n}": f"topic{n} and filler" for n in range(40)})
    hits = library.search("topic9 filler", mode="dense").hits
    query = library.embedder.embed(["topic9 filler"])[0]
    for hit in hits:
        text = f"{hit.sources[0].uri}\n{hit.chunk.text}"
        assert hit.score == pytest.approx(float(library.embedder.embed([text])[0] @ query), abs=2e-3)
    assert np.all(np.diff([hit.score for hit in hits]) <= 0)
