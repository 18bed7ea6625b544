"""The official client of the Model Context Protocol against real servers: over HTTP with a key, and over stdio."""

import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from app.keys import KeyStore
from data.database import Database
from tests.running_server import clean_environment, running_server

pytestmark = pytest.mark.slow
LEAVE = "How many weeks of parental leave at full pay do employees get?"
SALARY = "What are the salary bands?"


@pytest.fixture(scope="module")
def home(sample_server, tmp_path_factory):
    """The sample store with three keys, whose tokens lie in files."""
    home = tmp_path_factory.mktemp("mcp")
    shutil.copytree(sample_server.home / "var", home / "var", symlinks=True)
    database = Database(f"sqlite:///{home / 'var' / 'assay.db'}")
    keys = KeyStore(database)
    for name, options in {
        "insider": {"groups": ["people-ops"]},
        "colleague": {},
        "stranger": {"tenant": "other"},
        "writer": {"scopes": ["write"]},
    }.items():
        (home / name).write_text(keys.create(name, **options)[1])
    database.close()
    return home


@pytest.fixture(scope="module")
def base(home):
    with running_server(home) as server:
        yield server.base


@pytest.fixture(params=["http", "stdio"])
def connect(request, home) -> Callable:
    """`connect(name of a key)` is a client that speaks one of the two transports."""
    if request.param == "http":
        base = request.getfixturevalue("base")

        @asynccontextmanager
        async def over_http(name: str) -> AsyncIterator[Client]:
            headers = {"authorization": f"Bearer {(home / name).read_text()}"}
            async with (
                httpx2.AsyncClient(headers=headers, timeout=60) as http,
                Client(streamable_http_client(base + "/mcp", http_client=http)) as client,
            ):
                yield client

        return over_http

    @asynccontextmanager
    async def over_stdio(name: str) -> AsyncIterator[Client]:
        environment = clean_environment(ASSAY_HOME=str(home), ASSAY_MCP_KEY=(home / name).read_text())
        server = StdioServerParameters(command=sys.executable, args=["-m", "app", "mcp"], env=environment, cwd=home)
        async with Client(stdio_client(server)) as client:
            yield client

    return over_stdio


def test_tools_are_listed_and_answer_with_proof(connect):
    async def go():
        async with connect("insider") as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            found = await client.call_tool("search", {"question": LEAVE, "k": 3})
            answer = await client.call_tool("ask", {"question": LEAVE})
            opened = [
                await client.call_tool("open_citation", {key: c[key] for key in ("document_id", "start", "end")})
                for c in answer.structured_content["citations"]
            ]
            salaries = await client.call_tool("search", {"question": SALARY})
            wrong = await client.call_tool("open_citation", {"document_id": "doc_nothing"})
            return tools, found, answer, opened, salaries, wrong

    tools, found, answer, opened, salaries, wrong = anyio.run(go)
    assert tools == {"search", "ask", "open_citation"}
    assert len(found.structured_content["hits"]) == 3
    assert "22 weeks of parental leave at full pay" in answer.structured_content["answer"]
    quotes = [c["quote"] for c in answer.structured_content["citations"]]
    assert quotes == [o.structured_content["quote"] for o in opened]
    assert quotes
    assert "salary-bands" in str(salaries.structured_content)
    assert wrong.is_error


def test_a_key_sees_over_mcp_what_it_sees_over_http(connect):
    async def ask(name: str):
        async with connect(name) as client:
            return await client.call_tool("search", {"question": SALARY, "k": 50})

    colleague = anyio.run(ask, "colleague")
    assert colleague.structured_content["hits"]
    assert "salary-bands" not in str(colleague.structured_content)
    assert anyio.run(ask, "stranger").structured_content["hits"] == []
    assert "'read'" in anyio.run(ask, "writer").content[0].text


def test_without_a_key_stdio_acts_in_the_groups_that_its_operator_names(home):
    async def go(*args: str):
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "app", "mcp", *args],
            env=clean_environment(ASSAY_HOME=str(home)),
            cwd=home,
        )
        async with Client(stdio_client(server)) as client:
            return await client.call_tool("search", {"question": SALARY, "k": 50})

    assert "salary-bands" not in str(anyio.run(go).structured_content)
    assert "salary-bands" in str(anyio.run(go, "--groups", "people-ops").structured_content)


def test_without_a_valid_key_http_is_refused(base):
    for headers in ({}, {"authorization": "Bearer ask_0_0"}):
        response = httpx2.post(base + "/mcp", json={}, headers=headers)
        assert response.status_code == 401
