import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from data.tabular.table_spec import ROOT, TABLES
from tests.app.commands.conftest import Ran, ends_with_example

LOANS = "loan,amount,town,repaid\n" + "".join(
    f"L{at},{100 + at % 7},{('Brook', 'Cliff', '', 'Brook', 'Cliff')[at % 5]},{'yes' if at % 4 else 'no'}\n"
    for at in range(60)
)


@pytest.fixture
def assay(tmp_path, monkeypatch, capfd):
    """A command of this process, without the product that answers questions."""
    from app.__main__ import main

    for name in [name for name in os.environ if name.startswith("ASSAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "250")

    def call(*args: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["assay", "data", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        captured = capfd.readouterr()
        return Ran(int(left.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def loans(tmp_path) -> Path:
    (tmp_path / "loans.csv").write_text(LOANS)
    return tmp_path / "loans.csv"


@pytest.fixture
def small_claims(tmp_path) -> Path:
    text = (TABLES / "claims.yaml").read_text().replace("n_rows: 20000", "n_rows: 1200, n_policies: 300")
    (tmp_path / "small.yaml").write_text(text)
    return tmp_path / "small.yaml"


@pytest.mark.parametrize("verb", ["check", "profile", "list", "audit", "features"])
def test_help_ends_with_an_example(assay, verb):
    assert ends_with_example(assay(verb, "--help").out, f"data {verb}")


@pytest.mark.slow
def test_from_a_file_to_a_checked_table_in_two_commands(assay, loans):
    spec = loans.with_name("loans.yaml")
    drafted = assay("profile", loans, "--target", "repaid", "--out", spec)
    assert (drafted.code, "assay data check" in drafted.out) == (0, True)
    checked = assay("check", spec, "--quick")
    assert checked.code == 0
    assert "loans: good, 60 rows, 4 columns" in checked.out


def test_a_broken_contract_exits_with_1_and_names_the_rows(assay, loans):
    spec = loans.with_name("loans.yaml")
    assay("profile", loans, "--target", "repaid", "--out", spec)
    loans.write_text(LOANS.replace("L7,100,", "L7,much,").replace("L9,102,", "L9,-5,"))
    ran = assay("check", spec, "--json")
    assert ran.code == 1
    assert [(one["column"], one["observed"], one["rows"]) for one in ran.json["findings"]] == [
        ("amount", "'much', -5.0", [7, 9])
    ]
    page = Path(ran.json["page"])
    assert page.parent.parent.name == "quality"
    assert "much" in page.read_text()


def test_a_spec_that_is_there_is_not_written_over(assay, loans):
    assert assay("profile", loans, "--out", loans).code == 2
    assert loans.read_text() == LOANS


def test_an_unknown_table_is_wrong_use(assay):
    ran = assay("check", "clams")
    assert ran.code == 2
    assert "There is no table 'clams'" in ran.err


def test_the_shipped_tables_are_listed(assay):
    names = [one["name"] for one in assay("list", "--json").json]
    assert {"claims", "carclaims", "adult", "compas", "employment", "hotel"} <= set(names)


def test_the_audit_says_how_many_rows_would_change(assay, small_claims):
    told = assay("audit", small_claims, "--json").json
    assert told["n_rows"] == 1200
    assert 0 < told["n_changed"] < 600
    words = assay("audit", small_claims).out
    assert f"{told['n_changed']} of 1200 rows" in words
    assert "would change if only values known by reported_time were used" in words


def test_a_table_without_facts_asks_for_them(assay, loans):
    spec = loans.with_name("loans.yaml")
    spec.write_text(
        "name: l\nsource: {kind: csv, paths: [loans.csv]}\ncolumns: {amount: {kind: number}}\ntime: amount\n"
        "dropped: {loan: unused, town: unused, repaid: unused}"
    )
    ran = assay("audit", spec)
    assert ran.code == 2
    assert "Give --history FILE" in ran.err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Great Expectations' own
def test_the_whole_check_judges_quality_too(assay, loans):
    spec = loans.with_name("loans.yaml")
    assay("profile", loans, "--target", "repaid", "--out", spec)
    loans.write_text(LOANS.replace("Brook", "").replace("Cliff", ""))
    ran = assay("check", spec, "--json")
    assert "Great Expectations" in ran.json["engine"]
    assert ran.code == 1
    critical = [one for one in ran.json["findings"] if not one["is_good"] and one["severity"] == "critical"]
    assert [(one["rule"], one["column"]) for one in critical] == [("completeness", "town")]


def features(small_claims: Path, *more: object, **env: str) -> dict:
    command = [sys.executable, "-m", "app", "data", "features", small_claims, "--json", "--online", "P000001", *more]
    out = subprocess.run(command, cwd=ROOT, env=os.environ | env, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


@pytest.mark.slow
def test_the_feature_store_is_built_and_read(small_claims, tmp_path):
    told = features(small_claims, "--folder", tmp_path / "features")
    assert told["n_online"] == 300
    assert told["online"]["P000001"]["annual_premium"] > 0
    assert (tmp_path / "features" / "feature_store.yaml").exists()


@pytest.mark.slow
@pytest.mark.postgres
def test_postgres_serves_by_config(small_claims, tmp_path, postgres_url):
    url = make_url(postgres_url)
    env = {
        "FEATURES_PG_USER": url.username or "postgres",
        "FEATURES_PG_PASSWORD": url.password or "none",
        "FEATURES_PG_HOST": url.host or url.query["host"],
        "FEATURES_PG_PORT": str(url.port or 5432),
        "FEATURES_PG_DATABASE": url.database,
    }
    config = ROOT / "data" / "tabular" / "feature_store" / "feature_store.postgres.yaml"
    served = features(small_claims, "--folder", tmp_path / "features", "--config", config, **env)
    assert served["n_online"] == 300
    assert served["online"] == features(small_claims, "--folder", tmp_path / "local")["online"]
