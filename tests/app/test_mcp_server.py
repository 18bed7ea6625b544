import anyio
import pytest
from mcp.client import Client

from app.api.access import LOCAL, Caller
from app.keys import Scope
from app.mcp_server import create_mcp
from data.records import Principal
from tests.app.api.fake_assay import SENTENCES, TEXT, FakeAssay


def call(server, name: str, **arguments):
    async def go():
        async with Client(server) as client:
            return await client.call_tool(name, arguments)

    return anyio.run(go)


@pytest.fixture
def server():
    return create_mcp(FakeAssay(), caller=LOCAL)


def test_the_three_tools_are_listed_and_marked_read_only(server):
    async def go():
        async with Client(server) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in anyio.run(go)}
    assert set(tools) == {"search", "ask", "open_citation"}
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    assert "ctx" not in tools["ask"].input_schema["properties"]


def test_search_returns_chunks_with_their_source(server):
    (hit,) = call(server, "search", question="proof").structured_content["hits"]
    assert (hit["chunk_id"], hit["uri"], hit["text"]) == ("d1#0", "file:///proof.md", TEXT)


def test_ask_returns_an_answer_whose_citations_can_be_opened(server):
    answer = call(server, "ask", question="What does Assay show?").structured_content
    assert answer["answer"] == " ".join(SENTENCES)
    for citation in answer["citations"]:
        opened = call(
            server,
            "open_citation",
            document_id=citation["document_id"],
            start=citation["start"],
            end=citation["end"],
        ).structured_content
        assert opened["quote"] == citation["quote"]
        assert opened["before"] + opened["quote"] + opened["after"] == TEXT


def test_what_is_wrong_is_told_to_the_model(server):
    for result in (
        call(server, "open_citation", document_id="d9"),
        call(server, "open_citation", document_id="d1", start=10, end=5),
        call(server, "search", question="  "),
        call(server, "search", question="x", k=1000),
    ):
        assert result.is_error
        assert len(result.content[0].text) > 10


def test_another_tenant_cannot_open_a_document():
    server = create_mcp(FakeAssay(), caller=Caller(Principal(tenant="other")))
    assert call(server, "open_citation", document_id="d1").is_error


def test_a_caller_without_the_read_scope_is_refused():
    server = create_mcp(FakeAssay(), caller=Caller(Principal(), frozenset({Scope.WRITE})))
    assert "'read'" in call(server, "search", question="x").content[0].text
