import json

import pytest

from app.settings import load_settings
from app.wiring import open_assay
from data.records import Principal
from tests.app.commands.conftest import ends_with_example

pytestmark = pytest.mark.slow  # loads the real encoder


@pytest.fixture
def receipt(run, home, receipt_id, tmp_path):
    """A receipt's file, as `GET /v1/receipts/{id}` gives it, and the id and text of the document that it cites."""
    assay = open_assay(load_settings(home=home))
    found = assay.receipt(receipt_id, Principal(subject="cli"))
    cited = found.answer.sentences[0].citations[0].document_id
    text = assay.document(cited, Principal()).text
    assay.close()
    path = tmp_path / "receipt.json"
    path.write_text(found.model_dump_json())
    (tmp_path / "leave.txt").write_text(text)
    return path, cited, tmp_path / "leave.txt"


def test_help_ends_with_an_example(run):
    assert ends_with_example(run("verify", "--help").out, "verify")


def test_a_receipt_is_good_without_store_or_model(run, receipt, monkeypatch, tmp_path):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path / "nowhere"))
    path, cited, text = receipt
    ran = run("verify", path)
    assert (ran.code, "FAIL" in ran.out) == (0, False)
    ran = run("verify", path, "--text", f"{cited}={text}", "--json")
    assert (ran.code, ran.json["ok"]) == (0, True)
    assert any("stands in the document" in check["what"] for check in ran.json["checks"])
    assert not (tmp_path / "nowhere").exists()


def test_a_changed_receipt_fails(run, receipt):
    path, *_ = receipt
    body = json.loads(path.read_text())
    body["answer"]["sentences"][0]["citations"][0]["quote"] = "Parents may take ninety weeks."
    path.write_text(json.dumps(body))
    ran = run("verify", path)
    assert ran.code == 1
    assert "FAIL  receipt hash" in ran.out
    assert "FAIL  citation 1: hash of quote" in ran.out
    assert run("verify", path, "--json").json["ok"] is False


def test_a_changed_document_fails(run, receipt):
    path, cited, text = receipt
    text.write_text(text.read_text().replace("twenty", "thirty"))
    ran = run("verify", path, "--text", f"{cited}={text}")
    assert ran.code == 1
    assert "FAIL  citation 1: stands in the document" in ran.out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "is not JSON"),
        (b"[1]", "holds a list"),
        (b"{}", "is no receipt"),
        (b'{"probes": []}', "is no erasure certificate"),
        (b"\xff\xfe", "is not UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_receipt_is_wrong_use_and_no_traceback(run, tmp_path, content, told):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    ran = run("verify", path)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_a_text_without_an_id_is_wrong_use(run, receipt):
    ran = run("verify", receipt[0], "--text", "leave.txt")
    assert ran.code == 2
    assert "ID=FILE" in ran.err


def test_an_erasure_certificate_is_checked_with_its_key_and_probes(run, receipt, tmp_path):
    certificate = tmp_path / "erased.json"
    assert run("erase", receipt[1], "--certificate", certificate).code == 0
    ran = run("verify", certificate, "--json")
    assert (ran.code, ran.json["ok"]) == (0, True)
    body = json.loads(certificate.read_text())
    assert run("verify", certificate, "--key", body["public_key"].upper()).code == 0
    ran = run("verify", certificate, "--key", "00" * 32)
    assert ran.code == 1
    assert "FAIL  signed with the key that was expected" in ran.out
    body["probes"][0]["found"] = 2
    certificate.write_text(json.dumps(body))
    ran = run("verify", certificate)
    assert ran.code == 1
    assert ran.out.count("FAIL") == 2
