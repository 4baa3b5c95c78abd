"""The stores of a server, with the methods of those that open files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

from inchworm.app.remote.client import Client
from inchworm.app.remote.methods import METHODS
from inchworm.app.remote.server import Server
from inchworm.app.remote.wire import Wire, arguments_of, result_of
from inchworm.domain.access import Scope
from inchworm.store.control import ControlStore
from inchworm.store.traces import TraceStore


class _Remote:
    """What both have: a client in place of a database."""

    _client: Client

    def __init__(self, server: Server) -> None:
        self._client = Client(server)

    def close(self) -> None:
        """Close the connections. The server keeps its store open."""
        self._client.close()


class RemoteTraces(_Remote, TraceStore):
    """The trace store of a server. Every method does there what it says; see :class:`TraceStore`.

    Args:
        server: which.
    """


class RemoteControl(_Remote, ControlStore):
    """The control store of a server. Every method does there what it says; see :class:`ControlStore`.

    Args:
        server: which.
    """

    @property
    def changed(self) -> bool:
        """Never: whoever writes over the wire has woken the server already."""
        return False


def _method(store: str, name: str, local: Callable[..., Any], scope: Scope) -> Callable[..., Any]:
    """A method that has the server do it."""
    shape = signature(local)

    @functools.cache
    def wires() -> tuple[dict[str, Wire], Wire, bool]:
        return (arguments_of(local), *result_of(local))

    def packed(self: _Remote, *positional: Any, **named: Any) -> dict[str, Any]:
        given = shape.bind(self, *positional, **named).arguments
        arguments, _, _ = wires()
        return {key: arguments[key].pack(value) for key, value in given.items() if key != "self"}

    if result_of(local)[1]:

        @functools.wraps(local)
        def each(self: _Remote, *positional: Any, **named: Any) -> Iterator[Any]:
            item = wires()[1]
            for one in self._client.each(store, name, packed(self, *positional, **named)):
                yield item.unpack(one)

        return each

    @functools.wraps(local)
    def once(self: _Remote, *positional: Any, **named: Any) -> Any:
        said = packed(self, *positional, **named)
        answer = self._client.call(store, name, said, again=scope is Scope.VIEWER)
        return wires()[1].unpack(answer)

    return once


def _extend(kind: type[TraceStore | ControlStore], store: str, base: type) -> None:
    for name, scope in METHODS[store].items():
        setattr(kind, name, _method(store, name, getattr(base, name), scope))


_extend(RemoteTraces, "traces", TraceStore)
_extend(RemoteControl, "control", ControlStore)
