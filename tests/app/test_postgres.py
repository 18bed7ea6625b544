"""The path of a document, a search and a receipt over a real PostgreSQL: the same code, another database."""

import subprocess
import sys
import threading

import pytest
from sqlalchemy import inspect

from app.assay import Placement
from app.settings import load_settings
from app.wiring import open_assay
from data.database import Database
from data.errors import NotFound
from data.records import EventType, Filter, FilterOp, Principal, Query
from tests.app.product import open_product
from tests.running_server import clean_environment

pytestmark = pytest.mark.postgres


@pytest.fixture
def assay(tmp_path, postgres_url):
    made = open_product(tmp_path / "home", database=postgres_url)
    yield made
    made.close()


def add(assay, name: str, text: str, **placement):
    return assay.add_document(name, text.encode(), Placement(**placement))


def found(assay, text: str, **query) -> set[str]:
    return {s.title for hit in assay.search(Query(text=text, **query)).hits for s in hit.sources}


def test_documents_are_added_changed_found_and_removed(assay):
    assert add(assay, "a.txt", "alpha words")[1].status == "added"
    assert add(assay, "a.txt", "alpha words")[1].status == "unchanged"
    add(assay, "b.txt", "alpha words", groups=frozenset({"board"}))
    assert found(assay, "alpha") == {"a"}
    assert found(assay, "alpha", principal=Principal(groups=frozenset({"board"}))) == {"a", "b"}
    document, event = add(assay, "a.txt", "beta words")
    assert (event.status, document.version) == ("updated", 2)
    assert found(assay, "beta", mode="lexical") == {"a"}
    assay.forget = lambda identity: 0
    assay.delete(document.id, Principal())
    assert found(assay, "beta", mode="lexical") == set()
    with pytest.raises(NotFound):
        assay.document(document.id, Principal())
    assert assay.keeper.agreement().holds


@pytest.mark.parametrize(
    ("condition", "titles"),
    [
        (Filter(field="year", op=FilterOp.RANGE, gte=2025), {"new"}),
        (Filter(field="year", op=FilterOp.EQUALS, value=2024), {"old"}),
        (Filter(field="year", op=FilterOp.EQUALS, value="unknown"), {"odd"}),
        (Filter(field="team", op=FilterOp.PREFIX, value="eng"), {"new", "old"}),
        (Filter(field="team", op=FilterOp.IN, values=("eng", "ops")), {"new", "odd"}),
        (Filter(field="final", op=FilterOp.EQUALS, value=True), {"new"}),
        (Filter(field="title", op=FilterOp.EQUALS, value="old"), {"old"}),
        (Filter(field="year", op=FilterOp.EQUALS, value=0), set()),
        (Filter(field="year", op=FilterOp.RANGE, gte=10**30), set()),
        (Filter(field="final", op=FilterOp.EQUALS, value=1), set()),
        (Filter(field="version", op=FilterOp.EQUALS, value=1), {"new", "old", "odd"}),
        (Filter(field="ingested_at", op=FilterOp.RANGE, gte="2020-01-01"), {"new", "old", "odd"}),
        (Filter(field="ingested_at", op=FilterOp.RANGE, lt="2020-01-01T00:00:00+00:00"), set()),
        (Filter(field="ingested_at", op=FilterOp.RANGE, gte="2020-01-01T00:00:00+09:00"), {"new", "old", "odd"}),
        (Filter(field="missing", op=FilterOp.EQUALS, value=1), set()),
    ],
)
@pytest.mark.parametrize("database", ["postgres", "sqlite"])
def test_filters_mean_the_same_on_both_databases(tmp_path, request, database, condition, titles):
    url = request.getfixturevalue("postgres_url") if database == "postgres" else ""
    assay = open_product(tmp_path / "home", database=url)
    add(assay, "new.txt", "words one", metadata=(("year", 2026), ("team", "eng"), ("final", True)))
    add(assay, "old.txt", "words two", metadata=(("year", 2024), ("team", "english"), ("final", False)))
    add(assay, "odd.txt", "words three", metadata=(("year", "unknown"), ("team", "ops"), ("final", "yes")))
    try:
        assert found(assay, "words", filters=(condition,)) == titles
    finally:
        assay.close()


def test_processes_that_start_at_once_migrate_one_database_in_turn(postgres_url):
    code = f"from data.database import Database; d = Database({postgres_url!r}); d.migrate(); d.close()"
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=clean_environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [(p.communicate(timeout=120)[1], p.returncode) for p in started] == [("", 0)] * 3
    database = Database(postgres_url)
    assert inspect(database.engine).has_table("documents")
    assert database.current_generation() == 0
    database.close()


def test_writers_of_two_machines_take_turns_and_each_follows_the_other(tmp_path, postgres_url):
    machines = [open_product(tmp_path / f"m{n}", database=postgres_url) for n in range(2)]

    def write(n: int) -> None:
        for i in range(15):
            add(machines[n], f"{n}-{i}.txt", f"parcel{n}x{i}")

    threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for machine in machines:
        agreement = machine.keeper.agreement()
        assert agreement.holds
        assert len(agreement.database) == 30
        assert machine.keeper.is_owner, "each machine has an index of its own"
        machine.close()


def test_the_embedding_model_changes(assay):
    add(assay, "a.txt", "alpha words")
    list(assay.change_embedder("wide"))
    assert found(assay, "alpha words", mode="dense") == {"a"}
    assert assay.keeper.agreement().holds


def rows(connection, table: str) -> int:
    return connection.exec_driver_sql(f"select count(*) from {table}").scalar_one()


@pytest.mark.slow
def test_the_command_line_ingests_and_an_answer_has_a_receipt_that_replays(tmp_path, postgres_url):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# Ledger\n\nThe harbour master keeps the blue ledger in the tower.")
    out = subprocess.run(
        [sys.executable, "-m", "app", "ingest", str(tmp_path / "docs")],
        cwd=tmp_path,
        env=clean_environment(ASSAY_HOME=str(tmp_path), ASSAY_DATABASE_URL=postgres_url),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert out.returncode == 0, out.stderr
    assay = open_assay(load_settings(home=tmp_path, database_url=postgres_url))
    try:
        (final,) = [
            e.answer
            for e in assay.ask("Who keeps the blue ledger?", principal=Principal(), conversation_id="c1")
            if e.type is EventType.FINAL
        ]
        assert "harbour master" in final.text
        list(assay.ask("And the red one?", principal=Principal(), conversation_id="c1"))
        with assay.stores.database.read() as connection:  # of a conversation the newest state alone is kept
            counted = {table: rows(connection, table) for table in ("checkpoints", "checkpoint_writes")}
        assert counted == {"checkpoints": 1, "checkpoint_writes": 0}
        replay = assay.replay(final.receipt_id, Principal())
        assert replay.identical
        assert assay.receipt(final.receipt_id, Principal()).answer.text == final.text
    finally:
        assay.close()
