import pytest

from app.api.config import ApiConfig
from tests.app.api.conftest import local_client
from tests.app.api.fake_assay import TEXT


def test_a_json_document_is_added_and_can_be_read_back(client):
    new = {
        "text": "# Leave\n\nTwenty days.",
        "uri": "wiki://leave",
        "collection": "hr",
        "metadata": {"year": 2026},
    }
    response = client.post("/v1/documents", json=new)
    assert response.status_code == 201
    (added,) = response.json()["data"]
    assert (added["status"], added["uri"], added["collection"]) == ("added", "wiki://leave", "hr")
    document = client.get(f"/v1/documents/{added['id']}").json()
    assert document["text"] == new["text"]
    assert document["metadata"] == {"year": 2026}
    assert document["groups"] == ["everyone"]


def test_the_same_uri_again_is_an_update(client):
    for status in ("added", "updated"):
        (document,) = client.post("/v1/documents", json={"text": "x", "uri": "wiki://a"}).json()["data"]
        assert document["status"] == status


def test_several_files_are_uploaded_and_a_refused_one_costs_itself_alone(client):
    files = [("files", ("a.md", b"Alpha")), ("files", ("virus.exe", b"MZ")), ("files", ("b.md", b"Beta"))]
    data = {"collection": "hr", "groups": "everyone", "metadata": '{"year": 2026}'}
    response = client.post("/v1/documents", files=files, data=data)
    assert response.status_code == 201
    body = response.json()
    assert [(d["title"], d["collection"], d["metadata"]) for d in body["data"]] == [
        ("a.md", "hr", {"year": 2026}),
        ("b.md", "hr", {"year": 2026}),
    ]
    (refused,) = body["refused"]
    assert (refused["name"], refused["error"]["code"]) == ("virus.exe", "unsupported")


def test_an_upload_of_which_nothing_can_be_read_is_422_with_its_reason(client):
    response = client.post("/v1/documents", files=[("files", ("virus.exe", b"MZ"))])
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "unsupported"


@pytest.mark.parametrize(
    ("data", "param"),
    [({"metadata": "{"}, "metadata"), ({"metadata": "[1]"}, "metadata"), ({"colection": "x"}, "colection")],
)
def test_a_wrong_form_field_is_named(client, data, param):
    response = client.post("/v1/documents", files=[("files", ("a.md", b"x"))], data=data)
    assert response.status_code in (400, 422)
    assert response.json()["error"]["param"] == param


def test_a_form_without_files_is_refused(client):
    response = client.post("/v1/documents", data={"collection": "hr"}, files=[("nothing", (None, "x"))])
    assert response.status_code in (400, 422)


def test_malformed_json_is_400_and_a_missing_text_422(client):
    assert client.post("/v1/documents", content=b"{").status_code == 400
    response = client.post("/v1/documents", json={"name": "a.md"})
    assert response.status_code == 422
    assert response.json()["error"]["param"] == "text"


def test_an_upload_has_limits_of_its_own(product):
    config = ApiConfig(max_body_bytes=1024, max_upload_bytes=4096, max_upload_files=1)
    with local_client(product, config) as client:
        one = [("files", ("a.md", b"x" * 2000))]
        assert client.post("/v1/documents", files=one).status_code == 201
        assert client.post("/v1/documents", files=[("files", ("a.md", b"x" * 5000))]).status_code == 413
        two = [("files", (name, b"x")) for name in ("a.md", "b.md")]
        assert client.post("/v1/documents", files=two).status_code == 400


def test_documents_are_listed_in_pages(client):
    for n in range(4):
        client.post("/v1/documents", json={"text": "x", "uri": f"wiki://{n}"})
    seen, cursor = [], ""
    for _ in range(3):
        page = client.get("/v1/documents", params={"limit": 2, "cursor": cursor}).json()
        seen += [d["id"] for d in page["data"]]
        cursor = page["next_cursor"]
    assert cursor == ""
    assert len(seen) == len(set(seen)) == 5
    assert client.get("/v1/documents", params={"limit": 0}).status_code == 422


def test_a_deleted_document_is_gone(client):
    assert client.delete("/v1/documents/d1").status_code == 204
    assert client.get("/v1/documents/d1").status_code == 404
    assert client.delete("/v1/documents/d1").status_code == 404


def test_the_text_can_be_left_out(client):
    assert client.get("/v1/documents/d1").json()["text"] == TEXT
    assert "text" not in client.get("/v1/documents/d1", params={"text": False}).json()


def test_collections_are_named_with_their_number_of_documents(client):
    client.post("/v1/documents", json={"text": "x", "collection": "hr"})
    counted = {c["name"]: c["n_documents"] for c in client.get("/v1/collections").json()["data"]}
    assert counted == {"default": 1, "hr": 1}


def test_a_writer_gives_documents_to_its_own_groups_only(client, product):
    _, token = product.keys.create("writer", groups=["eng"], scopes=["write"])
    headers = {"authorization": f"Bearer {token}"}
    assert client.post("/v1/documents", json={"text": "x", "groups": ["eng"]}, headers=headers).status_code == 201
    refused = client.post("/v1/documents", json={"text": "x", "groups": ["board"]}, headers=headers)
    assert refused.status_code == 403
    assert "board" in refused.json()["error"]["message"]


def test_another_tenants_documents_do_not_exist(client, product):
    _, token = product.keys.create("stranger", tenant="other", scopes=["read", "write"])
    headers = {"authorization": f"Bearer {token}"}
    assert client.get("/v1/documents/d1", headers=headers).status_code == 404
    assert client.delete("/v1/documents/d1", headers=headers).status_code == 404
    assert client.get("/v1/documents", headers=headers).json()["data"] == []
