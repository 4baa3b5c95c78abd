"""Interactions in files: sent in, and taken away."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from inchworm.app import asjson
from inchworm.app.api import models
from inchworm.app.api.deps import ToDeploy, ToView, changed
from inchworm.app.api.errors import RefusedError
from inchworm.app.api.traces import Filtered
from inchworm.app.house import House
from inchworm.app.loop.exporting import Exporting
from inchworm.capture.exporters import EXPORTS
from inchworm.capture.files import Form
from inchworm.domain.errors import UsageError

Kind = Literal["jsonl", "openai-chat", "csv", "parquet", "otlp-json", "langfuse"]
MOST_IMPORTED = 1 << 30
"""Bytes of a file that is sent in one request."""


def router() -> APIRouter:
    """Routes of imports and exports."""
    routes = APIRouter(tags=["traces"])

    @routes.get("/imports", summary="List the files that were read in, newest first")
    def imports(house: ToView) -> models.Anything:
        return models.told(imports=[asjson.data_of(one) for one in house.control.imports(house.app)])

    @routes.post(
        "/imports",
        summary="Read a file of interactions in, sanitized",
        max_body_size=MOST_IMPORTED,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/x-ndjson": {},
                    "text/csv": {},
                    "application/vnd.apache.parquet": {},
                    "application/gzip": {},
                    "application/octet-stream": {},
                },
            }
        },
    )
    async def imported(
        request: Request,
        house: ToDeploy,
        *,
        name: Annotated[str, Query(max_length=200, description="What the file is called.")] = "upload",
        dialect: Annotated[str | None, Query(description="Recognised line by line if left out.")] = None,
        form: Annotated[
            Form | None, Query(alias="format", description="Told by name, type and beginning if left out.")
        ] = None,
        again: Annotated[bool, Query(description="Read it although it was read before.")] = False,
    ) -> models.Imported:
        """The body is the file, at most 1 GiB: JSONL, CSV, Parquet or OTLP-JSON, plain or gzipped.

        Answers when it is read in. The same file a second time adds nothing; one whose import was ended goes
        on where it was.
        """
        media = request.headers.get("content-type", "")
        if media.startswith("multipart/"):
            raise RefusedError(
                415,
                "unsupported_media_type",
                "the body is the file itself, no form",
                hint="curl --data-binary @FILE",
            )
        # Without a name: what is raw in it is gone however this process ends.
        with tempfile.TemporaryFile(dir=house.spec.data) as file:
            digest = await _received(request.stream(), file)
            how = {"form": form, "media": media, "dialect": dialect}
            said = await run_in_threadpool(_import, house, file, digest, name, how, again=again)
        changed(request)
        return models.Imported.model_validate(said)

    @routes.get(
        "/traces/export", summary="Take interactions away as a file", response_class=StreamingResponse
    )
    def exported(
        asked: Filtered,
        form: Annotated[Kind, Query(alias="format", description="How it is written.")] = "jsonl",
    ) -> StreamingResponse:
        """All that pass the filters, oldest first, streamed. What a format has no words for is left out."""
        pieces = Exporting(asked.house, asked.value, form)
        name = f"traces{EXPORTS[form].ending}"
        said = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingResponse(pieces, media_type=EXPORTS[form].media, headers=said)

    return routes


async def _received(blocks: AsyncIterator[bytes], file: IO[bytes]) -> str:
    """Keep what comes, and go back to its beginning; its SHA-256.

    Raises:
        UsageError: if it does not come to its end.
    """
    digest = hashlib.sha256()
    try:
        async for block in blocks:
            digest.update(block)
            file.write(block)
    except ClientDisconnect as error:
        raise UsageError("the file did not come to its end; nothing was read in") from error
    file.seek(0)
    return digest.hexdigest()


def _import(
    house: House, file: IO[bytes], digest: str, name: str, how: dict[str, Any], *, again: bool
) -> dict[str, Any]:
    from inchworm.app.loop import importing
    from inchworm.app.loop.intake import Drain

    before = None if again else importing.known(house, name, digest)
    if before is not None:
        return before
    return importing.take(house, Drain(house), file, name, digest=digest, anew=again, **how)
