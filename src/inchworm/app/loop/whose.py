"""Whose a record in the spool or in quarantine is: raw, perhaps damaged, in any of the forms that arrive."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

from inchworm.capture.records import Exported, decode
from inchworm.capture.telemetry import Refused, read
from inchworm.domain.errors import InchwormError
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.mistakes import MISTAKES

_WHO: Final = (
    "unit",
    "session",
    "user",
    "unit.id",
    "user.id",
    "session.id",
    "conversation.id",
    "unit_id",
    "user_id",
    "userid",
    "session_id",
    "sessionid",
    "conversation_id",
    "thread_id",
)
"""How members end that say whose something is, in lower case."""
_WHICH: Final = frozenset({"id", "trace", "shadow", "shadow_of", "span", "trace_id", "traceid"})
"""Members that say which interaction something is about."""
_SHORTEST: Final = 4
"""Bytes of a name from which on a whole value that equals it speaks of it, wherever it stands."""
_ONE_BYTE: Final = 0x80


class Whose:
    """Tells the records of somebody from all others.

    Args:
        names: ids as they were given, and as they are stored.
        traces: ids of interactions that are theirs, as they are stored.
        pseudonym: what an id is stored as.
    """

    def __init__(
        self, names: Collection[str], traces: Collection[TraceId], pseudonym: Callable[[UnitId], UnitId]
    ) -> None:
        self._names, self._traces, self._pseudonym = frozenset(names), frozenset(traces), pseudonym
        self._forms = [form for name in names for form in _forms(name)]

    def __call__(self, raw: bytes) -> bool:
        """Whether a record is theirs, or holds one of their names as a value."""
        if any(form in raw for form in self._forms):
            return True
        try:
            record = decode(raw)
        except msgspec.DecodeError:
            return False
        if isinstance(record, Exported) and self._in_spans(record):
            return True
        return any(
            self._is(key, value)
            for key, value in _members("", msgspec.to_builtins(record, builtin_types=(bytes,)))
        )

    def _in_spans(self, record: Exported) -> bool:
        try:
            spans = [one for one in read(record) if not isinstance(one, Refused)]
        except (InchwormError, *MISTAKES):  # that is why it lies in quarantine
            return False
        return any(
            self._is_name(str(name)) or self._is_trace(span.trace_id)
            for span in spans
            for name in (*span.people.values(), "")
        )

    def _is(self, key: str, value: str) -> bool:
        if key.endswith(_WHO):
            return self._is_name(value)
        return key in _WHICH and self._is_trace(value)

    def _is_name(self, value: str) -> bool:
        return bool(value) and (value in self._names or self._pseudonym(UnitId(value)) in self._names)

    def _is_trace(self, value: str) -> bool:
        return bool(value) and TraceId(self._pseudonym(UnitId(value))) in self._traces


def _forms(name: str) -> list[bytes]:
    """How a name is written as a whole value: in JSON, in MessagePack and in protobuf."""
    said = name.encode("utf-8", "surrogatepass")
    if len(said) < _SHORTEST:
        return []
    forms = {json.dumps(name).encode(), json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")}
    # Inside a text that is JSON itself, quotes are escaped.
    forms |= {json.dumps(form.decode("utf-8", "surrogatepass"))[1:-1].encode() for form in tuple(forms)}
    forms.add(msgspec.msgpack.encode(name))
    size, length = len(said), b""
    while size >= _ONE_BYTE:
        length, size = length + bytes([size % _ONE_BYTE + _ONE_BYTE]), size // _ONE_BYTE
    forms.add(length + bytes([size]) + said)
    return sorted(forms)


def _members(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text in a record with the name of its member, also in bodies that are JSON."""
    match value:
        case str():
            yield key.lower(), value
        case bytes():
            try:
                yield from _members("", json.loads(value))
            except (ValueError, RecursionError):
                return
        case Mapping():
            for name, one in value.items():
                yield from _members(str(name), one)
        case list() | tuple():
            for one in value:
                yield from _members(key, one)
        case _:
            return
