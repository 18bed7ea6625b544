import os

import pytest
from pydantic import SecretStr

from app.settings import ROOT, SILENT, load_settings, variables
from data.errors import InvalidInput


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("ASSAY_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def environment(monkeypatch):
    """`environment(ASSAY_PORT="1")` sets variables for one test."""

    def change(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return change


def problems() -> str:
    with pytest.raises(InvalidInput) as caught:
        load_settings()
    return str(caught.value)


def test_nothing_needs_to_be_set():
    settings = load_settings()
    assert settings.var == ROOT / "var"
    assert settings.database == f"sqlite:///{ROOT / 'var' / 'assay.db'}"


def test_groups_are_set_by_part_or_whole(environment):
    environment(
        ASSAY_PORT="9000", ASSAY_LLM='{"model": "a", "max_tokens": 7}', ASSAY_LLM__MODEL="b", assay_log_level="debug"
    )
    settings = load_settings()
    assert (settings.port, settings.log_level) == (9000, "debug")
    assert (settings.llm.model, settings.llm.max_tokens, settings.llm.timeout_s) == ("b", 7, 60)


def test_an_empty_variable_is_as_good_as_none(environment):
    environment(ASSAY_HOME="", ASSAY_PORT="", ASSAY_LLM__TIMEOUT_S="")
    assert (load_settings().home, load_settings().port, load_settings().llm.timeout_s) == (ROOT, 8000, 60)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("ASSAY_PROT", "ASSAY_PORT"),
        ("ASSAY_LMM__MODEL", "ASSAY_LLM__MODEL"),
        ("ASSAY_LLM__MODLE", "ASSAY_LLM__MODEL"),
        ("ASSAY_LLM_MODEL", "ASSAY_LLM__MODEL"),
        ("assay_llm__modle", "ASSAY_LLM__MODEL"),
        ("ASSAY_INGEST__CHUNKING__MAX_TOKEN", "ASSAY_INGEST__CHUNKING__MAX_TOKENS"),
        ("ASSAY_INGST__CHUNKING__MAX_TOKENS", "ASSAY_INGEST__CHUNKING__MAX_TOKENS"),
        ("ASSAY_LLM__API_KYE", "ASSAY_LLM__API_KEY"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_name_that_was_meant(environment, wrong, meant):
    environment(**{wrong: "a-value-that-may-be-secret"})
    assert f"{wrong} is not a setting (did you mean {meant}?)" in problems()
    assert "a-value-that-may-be-secret" not in problems()


@pytest.mark.slow
def test_a_letter_dropped_from_any_variable_is_noticed(monkeypatch):
    known = {name for name, _, _ in variables()}
    for name in sorted(known):
        for at in range(len("ASSAY_"), len(name)):
            wrong = name[:at] + name[at + 1 :]
            if wrong in known or wrong == "ASSAY_":
                continue
            with monkeypatch.context() as scope:
                scope.setenv(wrong, "1")
                with pytest.raises(InvalidInput, match=f"{wrong} is not a setting"):
                    load_settings()
            break


def test_all_problems_are_told_at_once(environment):
    environment(ASSAY_PROT="1", ASSAY_PORT="99999", ASSAY_LLM__TEMPERATURE="hot", ASSAY_READER='{"sentnces": 1}')
    told = problems()
    for part in (
        "ASSAY_PROT",
        "ASSAY_PORT: ",
        "'99999'",
        "ASSAY_LLM__TEMPERATURE: ",
        "ASSAY_READER__SENTENCES?",
        "docs/settings.md",
    ):
        assert part in told
    assert told.count("ASSAY_PROT ") == 1


def test_a_group_that_is_not_json_is_told_with_the_rest(environment):
    environment(ASSAY_PROT="1", ASSAY_READER="{")
    assert "ASSAY_PROT" in problems()
    assert '"reader"' in problems()


def test_a_wrong_secret_is_told_without_its_value(environment):
    environment(ASSAY_LLM='{"api_key": ["hunter2"]}')
    assert "ASSAY_LLM__API_KEY" in problems()
    assert "hunter2" not in problems()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ASSAY_LLM__API_KEY", "changeme"),
        ("ASSAY_LLM__API_KEY", "CHANGE-ME"),
        ("ASSAY_DATABASE_URL", "postgresql+psycopg://assay:password@db/assay"),
        ("ASSAY_MCP_KEY", "secret"),
    ],
)
def test_placeholder_secrets_are_refused_in_production_only(environment, name, value):
    environment(**{name: value})
    load_settings()
    environment(ASSAY_ENVIRONMENT="production")
    assert f"{name} is a placeholder" in problems()
    environment(**{name: "postgresql+psycopg://assay:Zk3v0p-9Qn@db/assay"})  # no placeholder, whatever it opens
    load_settings()


def test_settings_shown_in_a_log_hold_no_secret(environment):
    environment(
        ASSAY_LLM__API_KEY="hunter2", ASSAY_DATABASE_URL="postgresql+psycopg://a:hunter2@db/x", ASSAY_MCP_KEY="hunter2"
    )
    settings = load_settings()
    assert settings.llm.api_key == SecretStr("hunter2")
    assert "hunter2" not in f"{settings} {settings!r}"


@pytest.mark.parametrize("url", ["nonsense", "postgresql://a:hunter2@db/x", "mysql://a:hunter2@db/x"])
def test_a_database_that_there_is_no_code_for_is_refused_without_showing_its_password(environment, url):
    environment(ASSAY_DATABASE_URL=url)
    assert "ASSAY_DATABASE_URL: " in problems()
    assert "postgresql+psycopg://" in problems()
    assert "hunter2" not in problems()


def test_libraries_that_report_to_their_makers_are_told_not_to(monkeypatch):
    for name in SILENT:
        monkeypatch.delenv(name, raising=False)
    load_settings()
    assert {name: os.environ[name] for name in SILENT} == SILENT
