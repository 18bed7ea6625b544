"""What the command adds to the tools: whose rights they have. tests/app/api/test_mcp_clients.py speaks with it."""

import pytest

from app.commands.mcp import _caller
from app.keys import KeyStore, Scope
from app.settings import load_settings
from app.wiring import open_assay
from tests.app.commands.conftest import ends_with_example


@pytest.fixture
def assay(run):
    assay = open_assay(load_settings())
    yield assay
    assay.close()


def test_help_ends_with_an_example(run):
    assert ends_with_example(run("mcp", "--help").out, "mcp") or "assay mcp" in run("mcp", "--help").out


def test_without_a_key_the_operator_reads_in_the_groups_it_names_and_no_more(assay):
    caller = _caller(assay, "acme", "hr, law")
    assert (caller.principal.tenant, caller.principal.groups) == ("acme", {"hr", "law"})
    assert caller.scopes == {Scope.READ}


def test_with_a_key_its_rights_count_and_not_the_options(assay, monkeypatch):
    key, token = KeyStore(assay.stores.database).create("agent", tenant="acme", groups=["hr"])
    monkeypatch.setenv("ASSAY_MCP_KEY", token)
    caller = _caller(assay, "default", "law")
    assert caller.principal == key.principal


@pytest.mark.parametrize("token", ["nonsense", "ask_0123456789abcdef_x"])
def test_a_key_that_is_not_valid_opens_nothing(run, monkeypatch, token):
    monkeypatch.setenv("ASSAY_MCP_KEY", token)
    ran = run("mcp")
    assert (ran.code, ran.out) == (2, "")
    assert "not valid" in ran.err
