"""Documents: add (upload or JSON), list, read, delete; and the collections they are in."""

from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import FormData, UploadFile

from app.api.access import Caller, Reader, WriteCaller, Writer
from app.api.replies import json_reply
from app.api.service import Served, Service
from app.api.wire import Identifier, Metadata, Name, Text
from app.api.wire import Request as WireRequest
from app.assay import DEFAULT_COLLECTION, Placement
from app.errors import http_error
from app.keys import Scope
from data.errors import AssayError, Forbidden, InvalidInput
from data.records import Document, Groups, Scalar

router = APIRouter(prefix="/v1", tags=["documents"])
M = TypeVar("M", bound=BaseModel)
TEXT_SUFFIX = ".md"
"""What a JSON document is read as when its name says nothing."""


class Placed(WireRequest):
    """Where documents go and who may read them."""

    collection: Name = DEFAULT_COLLECTION
    groups: Annotated[frozenset[Name], Field(max_length=50)] = frozenset()
    """Who may read it; everyone in the tenant when empty."""
    metadata: Metadata = Field(default_factory=dict)
    """Facts to filter by."""


class NewDocument(Placed):
    """A document as text."""

    text: Text
    name: Name | None = None
    """A file name; its suffix says what the text is (`.md`, `.html`, `.csv`, ...)."""
    uri: Annotated[Text, Field(min_length=1, max_length=2000)] | None = None
    """Where it came from. Sent again, the same uri is an update."""


class DocumentView(BaseModel):
    id: str
    uri: str
    title: str
    collection: str
    groups: list[str]
    metadata: dict[str, Scalar]
    version: int
    ingested_at: datetime
    sha256: str
    n_chars: int
    status: Literal["added", "updated", "unchanged"] | None = None
    text: str | None = None


class Refused(BaseModel):
    name: str
    error: dict[str, Any]


class Uploaded(BaseModel):
    object: Literal["list"]
    data: list[DocumentView]
    refused: list[Refused]


class DocumentPage(BaseModel):
    object: Literal["list"]
    data: list[dict[str, Any]]
    next_cursor: str
    """Give it as `cursor` for the next page; empty at the end."""


class CollectionList(BaseModel):
    object: Literal["list"]
    data: list[dict[str, Any]]


def _body_schema() -> dict[str, Any]:
    form = Placed.model_json_schema()["properties"] | {
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1},
        "groups": {"type": "string", "description": "Names, separated by commas."},
        "metadata": {"type": "string", "description": "A JSON object."},
    }
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": NewDocument.model_json_schema()},
                "multipart/form-data": {"schema": {"type": "object", "properties": form, "required": ["files"]}},
            },
        }
    }


@router.post("/documents", response_model=Uploaded, status_code=201, openapi_extra=_body_schema())
async def add_documents(request: Request, caller: WriteCaller, served: Served) -> Response:
    """Add one document as JSON, or one or several files as multipart. Each is searchable when this returns.

    The same name or uri again is an update. A file that cannot be read costs itself alone: see `refused`.
    """
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await _add_files(request, caller, served)
    new = _validated(NewDocument, await request.body())
    document = await served.workers.run(_add_text, served, new, _placement(new, caller))
    return json_reply({"object": "list", "data": [document], "refused": []}, 201)


@router.get("/documents", response_model=DocumentPage)
async def list_documents(
    principal: Reader,
    served: Served,
    collection: Annotated[Name | None, Query()] = None,
    cursor: Annotated[Text, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> Response:
    """A page of the documents that the caller may read."""
    limit = min(limit, served.config.max_page)
    page, after = await served.workers.run(served.assay.documents, principal, collection, cursor, limit)
    return json_reply({"object": "list", "data": page, "next_cursor": after})


@router.get("/documents/{identity}", response_model=DocumentView)
async def get_document(identity: Identifier, principal: Reader, served: Served, text: bool = True) -> Response:
    """One document, with the canonical text that citations' offsets refer to."""
    document = await served.workers.run(served.assay.document, identity, principal)
    return json_reply(_view(document, text=text))


@router.delete("/documents/{identity}", status_code=204, response_class=Response)
async def delete_document(identity: Identifier, principal: Writer, served: Served) -> Response:
    """Take a document out of database, indexes, caches and receipts. Gone when this returns."""
    await served.workers.run(served.assay.delete, identity, principal)
    return Response(status_code=204)


@router.get("/collections", response_model=CollectionList)
async def list_collections(principal: Reader, served: Served) -> Response:
    """The collections in which the caller can read anything, with their number of readable documents."""
    counts = await served.workers.run(served.assay.collections, principal)
    return json_reply({"object": "list", "data": [{"name": name, "n_documents": n} for name, n in counts.items()]})


async def _add_files(request: Request, caller: Caller, served: Service) -> Response:
    config = served.config
    async with request.form(max_files=config.max_upload_files, max_fields=20) as form:
        placed = _validated(Placed, _form_fields(form))
        placement = _placement(placed, caller)
        uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not uploads:
            raise InvalidInput("There is no file in the form.", field="files", next_step="Send one as 'files'.")
        return await served.workers.run(_add_uploads, served, uploads, placement)


def _add_uploads(served: Service, uploads: list[UploadFile], placement: Placement) -> Response:
    added, refused, first = [], [], None
    for upload in uploads:
        name = upload.filename or ""
        try:
            added.append(_added(served, name, upload.file.read(), placement))
        except AssayError as error:
            first = first or http_error(error)
            refused.append({"name": name} | http_error(error).body)
    status = 201 if added or first is None else first.status
    body = {"object": "list", "data": added, "refused": refused}
    return json_reply(body if added or first is None else first.body | body, status)


def _add_text(served: Service, new: NewDocument, placement: Placement) -> dict[str, Any]:
    name = new.name or PurePosixPath(urlsplit(new.uri or "").path).name or "document"
    if not PurePosixPath(name).suffix:
        name += TEXT_SUFFIX
    return _added(served, name, new.text.encode(), placement, uri=new.uri or "")


def _added(served: Service, name: str, content: bytes, placement: Placement, uri: str = "") -> dict[str, Any]:
    document, event = served.assay.add_document(name, content, placement, uri=uri)
    return _view(document, text=False) | {"status": event.status}


def _placement(placed: Placed, caller: Caller) -> Placement:
    """Raises: Forbidden for a group that the caller is not in, unless it is an admin."""
    _check_groups(placed.groups, caller)
    return Placement(caller.principal.tenant, placed.collection, placed.groups, tuple(placed.metadata.items()))


def _check_groups(groups: Groups, caller: Caller) -> None:
    foreign = groups - caller.principal.effective_groups
    if foreign and Scope.ADMIN not in caller.scopes:
        raise Forbidden(
            f"The key is not in the groups {', '.join(sorted(foreign))}.",
            next_step="Give groups of its own, or use a key with the scope 'admin'.",
        )


def _form_fields(form: FormData) -> bytes:
    """The form's text fields as the JSON that `Placed` expects. Raises: InvalidInput."""
    fields: dict[str, Any] = {k: v for k, v in form.items() if isinstance(v, str)}
    if "groups" in fields:
        fields["groups"] = [name.strip() for name in fields["groups"].split(",") if name.strip()]
    if "metadata" in fields:
        try:
            fields["metadata"] = orjson.loads(fields["metadata"] or "{}")
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"metadata is not JSON: {error}.", field="metadata") from None
    return orjson.dumps(fields)


def _validated(model: type[M], body: bytes) -> M:
    """Raises: RequestValidationError, as FastAPI does for the bodies that it reads itself."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        problems = [problem | {"loc": ("body", *problem["loc"])} for problem in error.errors(include_context=False)]
        raise RequestValidationError(problems) from None


def _view(document: Document, *, text: bool) -> dict[str, Any]:
    shown = document.model_dump(exclude={"text", "tenant", "groups"})
    shown |= {"groups": sorted(document.groups), "n_chars": len(document.text)}
    return shown | {"text": document.text} if text else shown
