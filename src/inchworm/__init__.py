"""Inchworm: continuous delivery for AI systems, one layer at a time, measured as it goes.

This package is also the client library inside other people's programs, so importing it loads the standard
library and nothing else that is heavy. The client's functions are loaded when they are first used
(``docs/client.md``); import everything else from a room, for example `inchworm.domain`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inchworm.capture.client import (
        Client,
        Counts,
        Resolved,
        Spanning,
        Tracing,
        aresolve,
        async_http_client,
        configure,
        counts,
        feedback,
        flush,
        http_client,
        resolve,
        span,
        spanned,
        trace,
        traced,
    )

__all__ = [
    "Client",
    "Counts",
    "Resolved",
    "Spanning",
    "Tracing",
    "__version__",
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

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from inchworm.capture import client  # noqa: PLC0415  # only when it is used

    value = getattr(client, name)
    globals()[name] = value
    return value
