"""What lies in quarantine: why, since when, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from inchworm.app.house import House
from inchworm.capture.keyfile import master_key
from inchworm.capture.places import SPOOL
from inchworm.capture.records import Exported, Traced, decode
from inchworm.capture.spool import Quarantined, bring_back, discard, quarantined, read_segment
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.rollout import LedgerEntry
from inchworm.sanitize import Sanitizer, UnsanitizableError

_PREFIX: Final = 4
_SHOWN: Final = 20
_TEXT: Final = 400
_UNSAID: Final = "(not shown: it cannot be sanitized)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Something in quarantine.

    Attributes:
        id: its name, to call it by.
        one: what is known of it.
    """

    id: str
    one: Quarantined


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What something in quarantine holds, sanitized.

    Attributes:
        kept: what it is.
        damage: what is wrong with its file, if anything is.
        records: the first of its records: their kind, and members as far as they can be shown.
    """

    kept: Kept
    damage: str | None
    records: tuple[dict[str, Any], ...]


def everything(house: House) -> list[Kept]:
    """What lies in quarantine, oldest first."""
    return [Kept(id=one.path.stem, one=one) for one in quarantined(house.spec.data / SPOOL)]


def reasons(found: Sequence[Kept]) -> dict[str, int]:
    """How many records lie there for each reason, most first."""
    counts: Counter[str] = Counter()
    for one in found:
        counts[one.one.reason] += one.one.records or 1
    return dict(counts.most_common())


def find(house: House, names: Sequence[str]) -> list[Kept]:
    """What is called so, by at least 4 characters that only its id begins with; ``all`` is everything.

    Raises:
        NotFoundError: if one is not there.
        UsageError: if several begin so.
    """
    every = everything(house)
    if list(names) == ["all"]:
        return every
    found: list[Kept] = []
    for name in names:
        mine = [one for one in every if one.id == name]
        if not mine and len(name) >= _PREFIX:
            mine = [
                one
                for one in every
                if one.id.removeprefix("records-").startswith(name) or one.id.startswith(name)
            ]
        if not mine:
            raise NotFoundError(f'nothing in quarantine is called "{name}"', hint="inchworm quarantine list")
        if len(mine) > 1:
            raise UsageError(f'"{name}" is ambiguous: {", ".join(one.id for one in mine[:5])}')
        found += [one for one in mine if one not in found]
    return found


def show(house: House, name: str) -> Opened:
    """What something in quarantine holds; everything that somebody wrote is sanitized before it is shown.

    Raises:
        NotFoundError: if it is not there.
        StoreError: if it cannot be read.
    """
    found = find(house, [name])
    if not found:
        raise NotFoundError("the quarantine is empty")
    kept = found[0]
    key = derive(master_key(house.spec.data), Purpose.SPOOL)
    contents = read_segment(kept.one.path, key)
    sanitizer = Sanitizer(custom=house.spec.sanitize.custom)
    return Opened(
        kept=kept,
        damage=contents.damage,
        records=tuple(_shown(raw, sanitizer) for raw in contents.records[:_SHOWN]),
    )


def retry(house: House, names: Sequence[str]) -> list[Kept]:
    """Give things in quarantine to the drain again; exactly once in effect."""
    found = find(house, names)
    for one in found:
        bring_back(house.spec.data / SPOOL, one.one.path, at=house.now())
    _tell(house, found, "given to the drain again")
    return found


def remove(house: House, names: Sequence[str]) -> list[Kept]:
    """Delete things in quarantine, with their bytes."""
    found = find(house, names)
    for one in found:
        discard(one.one.path)
    _tell(house, found, "discarded")
    return found


def _tell(house: House, found: Sequence[Kept], what: str) -> None:
    if not found:
        return
    count = sum(one.one.records or 1 for one in found)
    records = "1 record" if count == 1 else f"{count:,} records"
    house.control.append_ledger(
        LedgerEntry(
            app=house.app,
            at=house.now(),
            kind="quarantine",
            actor=house.actor,
            what=f"{records} in quarantine {what}.",
            data={"ids": [one.id for one in found][:100], "reasons": reasons(found)},
        )
    )


def _shown(raw: bytes, sanitizer: Sanitizer) -> dict[str, Any]:
    try:
        record = decode(raw)
    except msgspec.DecodeError:
        return {"kind": "unreadable", "bytes": len(raw)}
    said: dict[str, Any] = {"kind": type(record).__struct_config__.tag, "bytes": len(raw)}
    if isinstance(record, Exported):
        # A body in another form is not taken apart here: what cannot be read cannot be sanitized either.
        return said | {
            "app": record.app,
            "at": record.at,
            "dialect": record.dialect,
            "body_bytes": len(record.body),
        }
    if isinstance(record, Traced):
        return said | {"app": record.app, "at": record.at, "line": _clean(_json(record.line), sanitizer)}
    members = msgspec.to_builtins(record, builtin_types=(bytes,))
    for name, value in members.items():
        if name != "k" and value not in (None, {}, b"", ()):
            said[name] = _clean(_json(value) if isinstance(value, bytes) else value, sanitizer)
    return said


def _json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return f"({len(data):,} bytes that are no JSON)"


def _clean(value: Any, sanitizer: Sanitizer) -> Any:
    try:
        found = sanitizer.unit().value(value).value
    except (UnsanitizableError, RecursionError):
        return _UNSAID
    return _short(found)


def _short(value: Any) -> Any:
    match value:
        case str():
            return value if len(value) <= _TEXT else f"{value[:_TEXT]}… ({len(value):,} characters)"
        case dict():
            return {key: _short(one) for key, one in value.items()}
        case list() | tuple():
            return [_short(one) for one in value]
        case _:
            return value
