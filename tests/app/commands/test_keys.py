import re

import pytest

from app.keys import KeyStore
from data.database import Database
from tests.app.commands.conftest import ends_with_example


@pytest.mark.parametrize("verb", ["create", "list", "revoke"])
def test_help_ends_with_an_example(run, verb):
    assert ends_with_example(run("keys", verb, "--help").out, f"keys {verb}")


def test_a_key_is_made_listed_and_revoked(run, home):
    made = run(
        "keys",
        "create",
        "ci",
        "--tenant",
        "acme",
        "--groups",
        "hr, law",
        "--scopes",
        "read,write",
        "--rate",
        7,
        "--json",
    ).json
    database = Database(f"sqlite:///{home / 'var' / 'assay.db'}")
    keys = KeyStore(database)
    keys.refresh()
    assert keys.verify(made["token"]).groups == {"hr", "law"}
    database.close()
    (listed,) = run("keys", "list", "--json").json
    assert (listed["tenant"], listed["rate_per_minute"], listed["scopes"]) == ("acme", 7, ["read", "write"])
    assert "token" not in listed
    assert run("keys", "revoke", made["id"]).code == 0
    shown = run("keys", "list").out
    assert "revoked" in shown
    assert made["token"] not in shown


def test_the_token_is_shown_once_with_how_to_use_it(run):
    out = run("keys", "create", "me").out
    (token,) = set(re.findall(r"ask_[0-9a-f]{16}_[\w-]{43}", out))
    assert f"Authorization: Bearer {token}" in out


def test_without_keys_the_list_says_who_is_answered(run):
    assert "only loopback" in run("keys", "list").out


@pytest.mark.parametrize(
    "wrong", [["create", "x", "--scopes", "root"], ["create", " "], ["create", "x", "--rate", "0"], ["revoke", "no"]]
)
def test_what_makes_no_sense_is_wrong_use(run, wrong):
    ran = run("keys", *wrong)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err
