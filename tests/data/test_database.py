import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from sqlalchemy import func, insert, select

from data.database import MIGRATIONS, Database
from data.errors import InfrastructureError
from data.tables import contents, metadata, scopes, state
from tests.running_server import clean_environment


@pytest.fixture
def database(tmp_path):
    opened = Database(f"sqlite:///{tmp_path / 'a.db'}")
    opened.migrate()
    yield opened
    opened.close()


def test_each_write_takes_the_next_generation(database):
    with database.write() as first:
        pass
    with database.write() as second:
        pass
    assert second.generation == first.generation + 1 == database.current_generation()


def test_a_failed_write_leaves_nothing_and_takes_no_generation(database):
    def fail_halfway():
        with database.write() as write:
            write.connection.execute(insert(state).values(name="x", value=1))
            raise ZeroDivisionError

    before = database.current_generation()
    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(state)).scalar_one() == 0
    assert database.current_generation() == before


def test_a_reader_sees_one_state_while_a_writer_commits(database):
    with database.read() as connection:
        before = database.generation_in(connection)
        with database.write():
            pass
        assert database.generation_in(connection) == before
    assert database.current_generation() == before + 1


def test_writers_in_two_threads_queue(database):
    def work():
        for _ in range(20):
            with database.write():
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.current_generation() == 80


def test_migrating_twice_changes_nothing(database):
    with database.write():
        pass
    database.migrate()
    assert database.current_generation() == 1


def test_a_migration_that_fails_leaves_the_schema_that_was_there(tmp_path):
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("create view documents as select 1 as id")
    database = Database(f"sqlite:///{path}")
    with pytest.raises(InfrastructureError, match="view"):
        database.migrate()
    database.close()
    with closing(sqlite3.connect(path)) as plain:
        assert plain.execute("select name from sqlite_master").fetchall() == [("documents",)]


def test_the_migrations_make_exactly_the_schema_of_the_tables(database):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_of_an_earlier_version_keeps_its_rows_and_gets_the_schema_of_today(database):
    from alembic import command
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = database.url
    command.downgrade(config, "0002")
    with database.append() as connection:
        connection.exec_driver_sql("insert into contents (tenant, sha256, text, generation) values ('t', 's', 'x', 0)")
    database.migrate()
    with database.read() as connection:
        assert connection.execute(select(contents.c.text, contents.c.chunking)).all() == [("x", "")]
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_that_cannot_be_opened_is_an_infrastructure_error_that_says_what_to_check(tmp_path):
    broken = Database(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder' / 'a.db'}")
    with pytest.raises(InfrastructureError, match="disk is not full"), broken.read():
        pass
    broken.close()


def test_deleted_text_leaves_the_file(database, tmp_path):
    secret = "a sentence that must not survive its deletion"
    with database.append() as connection:
        connection.execute(insert(scopes).values(tenant="t", collection=secret, groups=[], groups_key="k"))
    with database.append() as connection:
        connection.execute(scopes.delete())
    database.compact()
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.iterdir())


def test_only_what_may_be_lost_to_a_power_cut_skips_the_disk(database):
    full, normal = 2, 1

    def level(connection):
        return connection.exec_driver_sql("pragma synchronous").scalar_one()

    for _ in range(3):  # whichever connection of the pool serves it, and whatever it served before
        with database.append(flush=False) as connection:
            assert level(connection) == normal
        with database.append() as connection:
            assert level(connection) == full
        with database.append(flush=False) as connection:
            connection.execute(insert(scopes).values(tenant="t", collection="c", groups=[], groups_key=str(_)))
        with database.write() as write:
            assert level(write.connection) == full
    with database.read() as connection:
        assert len(connection.execute(select(scopes.c.id)).all()) == 3


def test_the_journal_is_write_ahead_and_flushed_at_commit(database):
    with database.read() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 2
    assert sqlite3.sqlite_version_info >= (3, 35)


@pytest.mark.slow
def test_processes_that_start_at_once_migrate_one_new_database_in_turn(tmp_path):
    code = f"from data.database import Database; d = Database('sqlite:///{tmp_path}/new.db'); d.migrate(); d.close()"
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=clean_environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [(p.communicate(timeout=120)[1], p.returncode) for p in started] == [("", 0)] * 4
    database = Database(f"sqlite:///{tmp_path}/new.db")
    assert database.current_generation() == 0
    database.close()
