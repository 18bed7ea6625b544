import json
import stat

import pytest
from langchain_core.language_models import FakeListChatModel

from app.erasure import Certificate, erase, instance_key, is_genuine
from data.errors import InfrastructureError, InvalidInput, NotFound
from data.records import Principal
from tests.app.answering_product import ASKER, answer, product, put, told_product, with_model

SECRET = "the zanzibar protocol needs nineteen violet keys"
TEXT = (
    f"# Protocol\n\nIn an emergency {SECRET}. Call the “duty manager” at once.\n\n" + "Further rules follow here. " * 40
)


@pytest.fixture
def assay(tmp_path):
    with told_product(tmp_path) as opened:
        yield opened


def files_holding(folder, words: str) -> list[str]:
    forms = {words.encode(), words.encode("utf-16-le"), json.dumps(words)[1:-1].encode()}
    return [p.name for p in folder.rglob("*") if p.is_file() and any(form in p.read_bytes() for form in forms)]


def test_after_an_erasure_the_text_is_in_no_file_and_the_certificate_says_so(assay):
    identity = put(assay, "protocol.md", TEXT)
    question = "How many violet keys does the zanzibar protocol need in an emergency?"
    found = answer(assay, question, conversation_id="c1")
    assert SECRET in found.text
    with_model(assay, FakeListChatModel(responses=["What?", f"In an emergency {SECRET} [1]."]))
    answer(assay, "And in an emergency?", conversation_id="c1")
    assay.keeper.merge()
    assert files_holding(assay.var, SECRET)
    certificate = erase(assay, identity, ASKER)
    assert certificate.is_clean, certificate.probes
    assert files_holding(assay.var, SECRET) == []
    assert files_holding(assay.var, "zanzibar") == files_holding(
        assay.var, "zanzibar protocol need"
    )  # the question alone
    stores = {probe.store for probe in certificate.probes}
    assert stores >= {"database.contents", "database.chunks", "database.vectors", "database.receipts"}
    assert stores >= {"index.dense", "index.lexical", "search", "files"}


def test_what_else_is_stored_is_still_found(assay):
    erase(assay, put(assay, "protocol.md", TEXT), ASKER)
    assert "twenty-two" in answer(assay, "How many weeks of parental leave may parents take?").text
    assert assay.keeper.agreement().holds


def test_a_text_that_another_document_holds_is_named_and_kept(assay):
    first = put(assay, "a.md", TEXT)
    second = put(assay, "b.md", TEXT)
    certificate = erase(assay, first, ASKER)
    assert certificate.kept_by == (second,)
    assert certificate.is_clean
    assert SECRET in assay.document(second, ASKER).text
    assert erase(assay, second, ASKER).kept_by == ()
    assert files_holding(assay.var, SECRET) == []


def test_a_trace_that_is_left_is_found_also_where_json_escapes_it(assay):
    identity = put(assay, "protocol.md", '“Ünusual” wörds and "quotes" ' * 30)
    text = assay.document(identity, ASKER).text
    (assay.var / "forgotten.json").write_text(json.dumps({"copy": text}))
    certificate = erase(assay, identity, ASKER)
    assert [probe.store for probe in certificate.probes if probe.found] == ["files"]
    assert not certificate.is_clean
    assert is_genuine(certificate)


def test_an_erasure_is_recorded_and_needs_the_right_to_see_the_document(assay):
    identity = put(assay, "pay.md", TEXT, groups=frozenset({"hr"}))
    for other in (ASKER, Principal(tenant="rival", groups=frozenset({"hr"}))):
        with pytest.raises(NotFound):
            erase(assay, identity, other)
    certificate = erase(assay, identity, Principal(groups=frozenset({"hr"})))
    with assay.stores.database.read() as connection:
        (stored,) = connection.exec_driver_sql("select certificate from erasures").scalars()
    assert Certificate.model_validate_json(stored) == certificate


def test_while_another_process_holds_the_index_nothing_is_deleted(tmp_path, assay):
    identity = put(assay, "protocol.md", TEXT)
    with product(tmp_path) as second:
        with pytest.raises(InvalidInput, match="assay serve"):
            erase(second, identity, ASKER)
        assert second.document(identity, ASKER)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Certificate:
    with told_product(tmp_path_factory.mktemp("erased")) as opened:
        return erase(opened, put(opened, "protocol.md", TEXT), ASKER)


def test_a_certificate_is_genuine_also_after_json(certificate):
    assert is_genuine(Certificate.model_validate_json(certificate.model_dump_json(indent=2)))


@pytest.mark.parametrize("field", sorted(Certificate.model_fields))
def test_a_certificate_with_any_field_tampered_with_is_not(certificate, field):
    body = certificate.model_dump(mode="json")
    match body[field]:
        case int(value):
            body[field] = value + 1
        case list(value):
            body[field] = value[1:] if value else ["doc_x"]
        case str(value) if field == "erased_at":
            body[field] = value.replace("20", "21", 1)
        case str(value):
            body[field] = ("0" if value[0] != "0" else "1") + value[1:]
    assert not is_genuine(Certificate.model_validate(body))


def test_a_probe_that_is_made_to_look_clean_breaks_the_signature(certificate):
    dirty = certificate.model_copy(update={"probes": (certificate.probes[0].model_copy(update={"found": 3}),)})
    assert not is_genuine(dirty)


def test_the_instance_key_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    path = tmp_path / "var" / "instance.key"
    first, second = instance_key(path), instance_key(path)
    assert first.public_key() == second.public_key()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["instance.key"]


def test_a_damaged_instance_key_is_named_with_what_to_do(tmp_path):
    path = tmp_path / "instance.key"
    path.write_text("not a key")
    with pytest.raises(InfrastructureError, match="move it away"):
        instance_key(path)
