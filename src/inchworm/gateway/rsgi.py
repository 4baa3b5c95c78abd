"""What granian hands to its application, as far as it is used here (RSGI 1.6)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from granian.rsgi import ProtocolClosed as Closed  # type: ignore[attr-defined]  # re-exported without saying so
from granian.rsgi import Scope

__all__ = ["Closed", "Exchange", "Pieces", "Scope"]


class Pieces(Protocol):
    """Where the pieces of an answer go."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a piece, and wait while the caller is slow.

        Raises:
            Closed: if the caller left.
        """
        ...


class Exchange(Protocol):
    """One request and its answer."""

    async def __call__(self) -> bytes:
        """The whole body."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        ...

    async def client_disconnect(self) -> None:
        """Wait until the caller left."""
        ...

    def response_empty(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Answer without a body."""
        ...

    def response_str(self, status: int, headers: Sequence[tuple[str, str]], body: str) -> None:
        """Answer with text."""
        ...

    def response_bytes(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Answer with bytes."""
        ...

    def response_stream(self, status: int, headers: Sequence[tuple[str, str]]) -> Pieces:
        """Begin an answer that goes out in pieces; it ends when the handler returns."""
        ...
