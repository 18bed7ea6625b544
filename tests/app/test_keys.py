from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.keys import KeyStore
from data.errors import InvalidInput, NotFound, Unauthenticated
from data.tables import api_keys
from tests.databases import new_database

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def database(tmp_path):
    database = new_database(tmp_path / "keys.db")
    yield database
    database.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keys(database, clock):
    return KeyStore(database, now=clock)


def test_a_token_proves_its_key(keys):
    key, token = keys.create("ci", tenant="acme", groups=["eng"], scopes=["read", "write"], rate_per_minute=7)
    keys.refresh()
    assert keys.verify(token) == key
    assert key.principal.tenant == "acme"
    assert key.principal.groups == {"eng"}


def test_the_database_holds_no_secret(keys, database):
    _, token = keys.create("ci")
    with database.read() as connection:
        (row,) = connection.execute(select(api_keys)).mappings().all()
    secret = token.split("_", 2)[2]
    assert len(secret) >= 43
    assert secret not in str(dict(row))


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + "x", lambda t: "ask_" + t[5:], lambda t: "", lambda t: "ask__"]
)
def test_a_token_that_differs_by_anything_is_refused(keys, change):
    _, token = keys.create("ci")
    keys.refresh()
    with pytest.raises(Unauthenticated):
        keys.verify(change(token))


def test_a_token_with_characters_beyond_ascii_is_refused(keys):
    key, _ = keys.create("ci")
    keys.refresh()
    with pytest.raises(Unauthenticated):
        keys.verify(f"ask_{key.id}_\udcffé")


def test_the_secret_of_one_key_does_not_open_another(keys):
    first, _ = keys.create("a")
    _, token = keys.create("b")
    keys.refresh()
    with pytest.raises(Unauthenticated):
        keys.verify(f"ask_{first.id}_{token.split('_', 2)[2]}")


def test_a_key_stops_working_when_it_expires(keys, clock):
    _, token = keys.create("ci", expires_at=NOW + timedelta(minutes=1))
    keys.refresh()
    assert keys.verify(token)
    clock.now = NOW + timedelta(minutes=1)
    with pytest.raises(Unauthenticated, match="expired"):
        keys.verify(token)


def test_a_revoked_key_stops_working_and_the_server_stays_closed(keys):
    key, token = keys.create("ci")
    keys.revoke(key.id)
    assert keys.is_stale(token)
    keys.refresh()
    with pytest.raises(Unauthenticated, match="revoked"):
        keys.verify(token)
    assert keys.any_exist()


def test_another_process_learns_of_a_new_key_by_its_first_use(database, keys, monkeypatch):
    other = KeyStore(database, refresh_s=3600)
    other.refresh()
    _, token = keys.create("ci")
    monkeypatch.setattr("app.keys.RECHECK_AFTER_S", 0.0)
    assert other.is_stale(token)
    other.refresh()
    assert other.verify(token)
    assert not other.is_stale(token)


def test_revoking_a_key_that_does_not_exist_says_so(keys):
    with pytest.raises(NotFound):
        keys.revoke("nope")


def test_keys_are_listed_newest_first_with_their_zone(keys, clock):
    keys.create("old")
    clock.now = NOW + timedelta(hours=1)
    keys.create("new", expires_at=NOW + timedelta(days=1))
    listed = keys.list()
    assert [key.name for key in listed] == ["new", "old"]
    assert listed[0].expires_at == NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "a", "scopes": ["root"]}, "scopes"),
        ({"name": "a", "rate_per_minute": 0}, "rate_per_minute"),
        ({"name": "a", "expires_at": NOW}, "expires_at"),
        ({"name": "a", "expires_at": datetime(2030, 1, 1)}, "expires_at"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_by_field(keys, options, field):
    with pytest.raises(InvalidInput) as caught:
        keys.create(**options)
    assert caught.value.field == field
