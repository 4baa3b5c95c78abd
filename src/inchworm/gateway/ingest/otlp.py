"""OTLP/HTTP: traces of OpenTelemetry exporters (specification 1.x, "OTLP/HTTP")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from inchworm.capture.records import Exported
from inchworm.capture.telemetry import check
from inchworm.domain.errors import InputError
from inchworm.gateway.faults import Fault, FaultError, unusable, wrong_type
from inchworm.gateway.ingest.asked import JSON, Asked, Said
from inchworm.gateway.ingest.keeping import Keeper
from inchworm.gateway.ingest.otlp_ids import unplaced_json, unplaced_protobuf
from inchworm.gateway.ingest.otlp_parts import json_parts, protobuf_parts
from inchworm.gateway.metrics import Metrics

PROTOBUF = "application/x-protobuf"
MOST_RECORD = 4 << 20
"""Bytes of a record of the spool; larger bodies are taken apart."""

# google.rpc.Code (google/rpc/code.proto)
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 11, 415: 3, 421: 3, 429: 8, 500: 13, 503: 14}
_UNKNOWN = 2
_CODE, _MESSAGE = 0x08, 0x12  # of google.rpc.Status: field 1, a number; field 2, a text


@dataclass(frozen=True, slots=True)
class _Form:
    dialect: str
    parts: Callable[[bytes, int], Iterator[bytes]]
    unplaced: Callable[[bytes], int]


_FORMS = {
    PROTOBUF: _Form("otlp-protobuf", protobuf_parts, unplaced_protobuf),
    JSON: _Form("otlp-json", json_parts, unplaced_json),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Otlp:
    """Takes traces in.

    Attributes:
        keeper: makes them durable.
        metrics: counts them.
    """

    keeper: Keeper
    metrics: Metrics

    async def traces(self, asked: Asked) -> Said:
        """Take an ``ExportTraceServiceRequest``; the answer is an ``ExportTraceServiceResponse``.

        Raises:
            FaultError: if it cannot be read, or not be kept now.
        """
        form = _FORMS.get(asked.kind)
        if form is None:
            found = asked.headers.get("content-type", "")
            raise FaultError(wrong_type(found, f"{PROTOBUF} or {JSON}"))
        body = await asked.body()
        spans, unplaced, parts = await asked.work(body, lambda whole: _read(form, whole))
        app = str(asked.app.app)
        await self.keeper.keep(
            Exported(app=app, dialect=form.dialect, body=part, at=asked.at) for part in parts
        )
        self.metrics.ingested.add("otlp", by=spans - unplaced)
        if unplaced:
            self.metrics.ingest_refused.add("otlp", "invalid_span", by=unplaced)
        return Said(kind=asked.kind, body=_response(asked.kind, unplaced))

    async def other(self, asked: Asked) -> Said:
        """Say that only traces are taken.

        Raises:
            FaultError: 404, always; exporters do not try again then.
        """
        signal = asked.path.rpartition("/")[2]
        raise FaultError(
            Fault(
                status=404,
                code="traces_only",
                message=f"Inchworm takes traces, and no {signal}: turn that exporter off with "
                f"OTEL_{signal.upper()}_EXPORTER=none.",
            )
        )


def _response(kind: str, unplaced: int) -> bytes:
    """An ``ExportTraceServiceResponse``; with its partial success if some spans cannot be placed."""
    if not unplaced:
        return b"" if kind == PROTOBUF else b"{}"
    why = f"{unplaced} spans have no trace id of 16 bytes and span id of 8; they are in quarantine"
    if kind == PROTOBUF:
        partial = ExportTracePartialSuccess(rejected_spans=unplaced, error_message=why)
        told: bytes = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
        return told
    return msgspec.json.encode({"partialSuccess": {"rejectedSpans": str(unplaced), "errorMessage": why}})


def _read(form: _Form, body: bytes) -> tuple[int, int, list[bytes]]:
    """How many spans a body holds, how many of them cannot be placed, and the parts that it is kept in.

    Raises:
        FaultError: if nothing of it can be read.
    """
    try:
        spans = check(form.dialect, body)
        return spans, form.unplaced(body), list(form.parts(body, MOST_RECORD)) if spans else []
    except InputError as error:
        raise FaultError(unusable(error.message)) from error


def refusal(fault: Fault, kind: str) -> Said:
    """A fault as ``google.rpc.Status``, in the content type of the request (OTLP/HTTP, "Failures")."""
    code = _CODES.get(fault.status, _UNKNOWN)
    if kind == PROTOBUF:
        text = fault.message.encode()[:0x3FFF]
        length = (
            bytes([len(text) & 0x7F | 0x80, len(text) >> 7]) if len(text) > 0x7F else bytes([len(text)])
        )  # seven bits each
        body = bytes([_CODE, code, _MESSAGE]) + length + text
        return Said(status=fault.status, body=body, kind=PROTOBUF, headers=fault.headers)
    body = msgspec.json.encode({"code": code, "message": fault.message})
    return Said(status=fault.status, body=body, headers=fault.headers)
