"""Serving itself is tested in tests/app/test_server.py; here, what is said before it begins."""

import socket

from tests.app.commands.conftest import ends_with_example


def test_help_ends_with_an_example(run):
    help_text = run("serve", "--help").out
    assert ends_with_example(help_text, "serve") or "assay serve" in help_text
    assert "--sample" in help_text


def test_a_taken_port_is_exit_code_4_with_a_next_step(run, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("ASSAY_PORT", str(taken.getsockname()[1]))
        ran = run("serve")
    assert ran.code == 4
    assert "ASSAY_PORT" in ran.err


def test_an_address_of_another_machine_is_exit_code_4(run, monkeypatch):
    monkeypatch.setenv("ASSAY_HOST", "192.0.2.1")  # TEST-NET-1: nobody's
    assert run("serve").code == 4


def test_wrong_settings_are_exit_code_2(run, monkeypatch):
    monkeypatch.setenv("ASSAY_PROT", "1")
    ran = run("serve")
    assert (ran.code, ran.out) == (2, "")
