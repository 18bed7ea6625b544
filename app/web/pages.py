"""The pages: ask, documents, a source at the cited words, a receipt, sign in. They hold no rights of their own:

each page takes the same dependencies as the route of the API that serves the same thing. A further page is a route
here, a template that extends `layout.html`, and a line in that file's navigation.
"""

import secrets
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from app.api import chat
from app.api.access import AnyCaller, Reader
from app.api.chat_shape import ChatMessage, ChatRequest
from app.api.service import Served
from app.api.wire import Identifier, Text
from app.receipts import verify
from app.web.answers import shown
from app.web.rendering import FOLDER, PageRoute, Revalidated, page
from app.web.source import Cited, blocks, find, part_around, part_at
from data.errors import NotFound
from data.records import Principal, Receipt

router = APIRouter(route_class=PageRoute)
static = Revalidated(directory=FOLDER / "static")
PAGE_LENGTH = 50
STAGES = ("lexical", "dense", "fusion", "rerank")
Offset = Annotated[int, Query(ge=0, le=2**31)]
Collection = Annotated[Text, Query(max_length=200)]


@router.get("/")
async def ask(
    request: Request,
    principal: Reader,
    caller: AnyCaller,
    served: Served,
    q: Annotated[Text, Query()] = "",
    collection: Collection = "",
    strict: bool = False,
    conversation: Annotated[Identifier | None, Query()] = None,
) -> Response:
    """The question box. With `q`, which only a form without scripts sends, also the whole answer."""
    collections = await served.workers.run(served.assay.collections, principal)
    conversation = conversation or f"page-{secrets.token_hex(12)}"
    answer = None
    if q.strip() and _from_own_page(request):
        asked = ChatRequest(
            messages=[ChatMessage(role="user", content=q)],
            collection=collection or None,
            strict=strict,
            conversation_id=conversation,
        )
        answer, _ = await chat.answered(asked, request, principal, served)
    context = {"question": q, "collection": collection, "strict": strict, "conversation": conversation}
    context |= {"collections": collections, "answer": answer, "shown": answer and shown(answer)}
    context |= {"max_chars": served.config.max_question_chars}
    return page(request, "ask.html", caller, **context)


@router.get("/documents")
async def documents(
    request: Request,
    principal: Reader,
    caller: AnyCaller,
    served: Served,
    collection: Collection = "",
    cursor: Annotated[Text, Query(max_length=200)] = "",
) -> Response:
    """The documents that the caller may read, a page at a time."""
    run = served.workers.run
    listed, after = await run(served.assay.documents, principal, collection or None, cursor, PAGE_LENGTH)
    collections = await run(served.assay.collections, principal)
    context = {"listed": listed, "after": after, "cursor": cursor, "collection": collection}
    context |= {"max_upload_bytes": served.config.max_upload_bytes}
    return page(request, "documents.html", caller, collections=collections, **context)


@router.get("/documents/{identity}")
async def source(
    request: Request,
    identity: Identifier,
    principal: Reader,
    caller: AnyCaller,
    served: Served,
    start: Offset = 0,
    end: Offset = 0,
    version: Annotated[int | None, Query(ge=0, le=2**31)] = None,
    quote: Annotated[Text, Query(max_length=64)] = "",
    begin: Annotated[int | None, Query(alias="from", ge=0, le=2**31)] = None,
) -> Response:
    """A document's text, open at the cited characters where `start` and `end` are given."""
    document = await served.workers.run(served.assay.document, identity, principal)
    cited = Cited(start, end, version, quote) if "start" in request.query_params else None
    finding = find(document, cited) if cited else None
    part = part_around(document.text, start) if begin is None else part_at(document.text, begin)
    span = (start, end) if finding and finding.is_marked else (0, 0)
    context = {"document": document, "cited": cited, "finding": finding, "part": part}
    return page(request, "source.html", caller, blocks=blocks(document.text, part, span), **context)


@router.get("/receipts/{identity}")
async def receipt(
    request: Request, identity: Identifier, principal: Reader, caller: AnyCaller, served: Served
) -> Response:
    """What an answer came from, and whether its parts still agree with each other."""
    found, titles = await served.workers.run(_receipt, served.assay, identity, principal)
    stages = [stage for stage in STAGES if any(stage in hit.stages for hit in found.hits)]
    context = {"receipt": found, "titles": titles, "stages": stages, "shown": shown(found.answer)}
    context |= {"verified": verify(found)}
    return page(request, "receipt.html", caller, **context)


@router.get("/signin")
async def sign_in(
    request: Request, served: Served, back: Annotated[Text, Query(alias="next", max_length=2000)] = "/"
) -> Response:
    """Where a key is put into the session cookie."""
    keys = served.product.keys
    if keys.is_stale(""):
        await served.workers.run_aside(keys.refresh)
    back = back if _is_path(back) else "/"
    return page(request, "signin.html", needs_key=keys.any_exist(), back=back)


def _receipt(assay: Any, identity: str, principal: Principal) -> tuple[Receipt, dict[str, str]]:
    """A receipt, and by document id the titles of those retrieved that the principal may still read."""
    found = assay.receipt(identity, principal)
    titles = {}
    for document_id in {hit.chunk_id.rpartition("#")[0] for hit in found.hits}:
        try:
            titles[document_id] = assay.document(document_id, principal).title
        except NotFound:
            continue
    return found, titles


def _from_own_page(request: Request) -> bool:
    """Whether asking was this page's idea, or the reader's own: another site's link only fills in the question."""
    return request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _is_path(back: str) -> bool:
    """Whether `back` leads to this server. Browsers read a backslash as a slash and skip control characters."""
    plain = unquote(back)
    return plain.startswith("/") and not plain.startswith("//") and plain.isprintable() and "\\" not in plain
