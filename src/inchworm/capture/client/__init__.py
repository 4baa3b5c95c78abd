"""The client library, inside of other people's programs (``docs/client.md``). Standard library and xxhash."""

from __future__ import annotations

from inchworm.capture.client.client import Client
from inchworm.capture.client.counting import Counts
from inchworm.capture.client.defaults import (
    aresolve,
    async_http_client,
    configure,
    counts,
    feedback,
    flush,
    http_client,
    resolve,
    trace,
    traced,
)
from inchworm.capture.client.resolved import Resolved
from inchworm.capture.client.spans import Spanning, span
from inchworm.capture.client.tracing import Tracing
from inchworm.capture.client.wrapping import spanned

__all__ = [
    "Client",
    "Counts",
    "Resolved",
    "Spanning",
    "Tracing",
    "aresolve",
    "async_http_client",
    "configure",
    "counts",
    "feedback",
    "flush",
    "http_client",
    "resolve",
    "span",
    "spanned",
    "trace",
    "traced",
]
