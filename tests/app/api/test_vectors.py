from base64 import b64decode

import numpy as np
import openai
import pytest

from tests.app.api.fake_assay import FakeAssay

TEXTS = ["a", "bb", "ccc"]


def test_the_openai_client_gets_vectors_in_both_encodings(serve, product):
    expected = FakeAssay().embed(TEXTS)
    with openai.OpenAI(base_url=serve(product) + "/v1", api_key="x") as client:
        for encoding in ("float", "base64", openai.NOT_GIVEN):
            made = client.embeddings.create(model="assay-embedding", input=TEXTS, encoding_format=encoding)
            got = [e.embedding for e in made.data]
            if encoding == "base64":
                got = [np.frombuffer(b64decode(e), "<f4") for e in got]
            np.testing.assert_array_equal(np.array(got, np.float32), expected)


def test_one_text_alone_is_accepted(client):
    body = client.post("/v1/embeddings", json={"input": "bb"}).json()
    assert [e["index"] for e in body["data"]] == [0]
    assert body["data"][0]["embedding"] == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"input": []}, 422),
        ({"input": [1, 2, 3]}, 422),
        ({"input": ""}, 400),
        ({"input": ["x"] * 257}, 400),
        ({"input": "x" * 32_001}, 400),
        ({"input": "x", "dimensions": 3}, 400),
        ({"input": "x", "model": "text-embedding-9"}, 404),
    ],
)
def test_input_that_cannot_be_embedded_is_refused(client, body, status):
    assert client.post("/v1/embeddings", json=body).status_code == status


def test_texts_are_ordered_by_relevance(client):
    documents = ["green tea", {"text": "leave days for parents"}, "leave"]
    body = client.post("/v1/rerank", json={"query": "leave days", "documents": documents, "top_n": 2}).json()
    assert [r["index"] for r in body["results"]] == [1, 2]
    assert body["results"][0]["document"] == {"text": "leave days for parents"}
    scores = [r["relevance_score"] for r in body["results"]]
    assert scores == sorted(scores, reverse=True)


def test_texts_need_not_come_back(client):
    body = client.post("/v1/rerank", json={"query": "a", "documents": ["a"], "return_documents": False}).json()
    assert "document" not in body["results"][0]
