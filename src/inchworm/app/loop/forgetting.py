"""Forgetting somebody everywhere: asked for durably, done in steps, each of which can be repeated.

The trace store is first, because it knows what is theirs; what that is lies sealed beside the request until
nothing of it is left. It runs between two rounds of the drain, so that nothing comes in meanwhile; gateways
go on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from inchworm.app.house import House
from inchworm.app.loop.scrubbing import scrub
from inchworm.app.loop.whose import Whose
from inchworm.capture.keyfile import master_key
from inchworm.capture.places import SPOOL
from inchworm.capture.spool import (
    amend,
    begun_before,
    closed_segments,
    discard,
    discard_parts,
    quarantined,
    set_aside_segments,
    take_out,
)
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError, NotFoundError, StoreError, UsageError
from inchworm.domain.forgetting import NOBODY, Forgetting, ForgettingState
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.rollout import LedgerEntry
from inchworm.domain.wording import counted, listed
from inchworm.gateway.sessions import forget_kept
from inchworm.store.traces.erase import Theirs

KIND: Final = "forget"
MOST: Final = 10_000
"""Units of one request."""
_PATIENCE_S: Final = 30.0
"""For how long segments are waited for that were begun before the request."""
_NONCE: Final = 12
_MOST_ANYWHERE: Final = 3
"""Characters of a name up to which it stands in texts by chance."""
_TOLD: Final = (
    ("traces", "interaction"),
    ("spans", "span"),
    ("scores", "score"),
    ("cases", "case"),
    ("trials", "answer"),
    ("quarantined", "record in quarantine"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Secret:
    """Whom a request is about, while it is open.

    Attributes:
        given: as they were given.
        theirs: what was found, once it was looked for.
    """

    given: tuple[str, ...]
    theirs: Theirs | None = None


def ask(house: House, units: Sequence[str]) -> Forgetting:
    """Make a request to forget these units durable. Nothing is deleted yet (see :class:`Forgetter`).

    Args:
        house: where the installation's key is.
        units: ids of units, sessions or users, as they were given or as they are stored.

    Raises:
        UsageError: if none is given, or too many are.
        InputError: if one is empty or no text.
    """
    given = tuple(dict.fromkeys(units))
    if not given or len(given) > MOST:
        raise UsageError(f"name 1 to {MOST:,} units, not {len(given):,}", hint="inchworm forget UNIT")
    for one in given:
        if not one.strip() or not one.isprintable():
            raise InputError("the id of a unit is a printable text, and not empty")
    key = _key(house)
    asked = Forgetting(
        id=f"forget-{secrets.token_hex(4)}",
        digests=tuple(sorted(digest_of(key, one) for one in given)),
        actor=house.actor,
        at=house.now(),
    )
    who = f"unit {asked.digests[0]}" if len(given) == 1 else counted(len(given), "unit")
    house.control.ask_forgetting(
        house.app,
        asked,
        _sealed(key, asked.id, _Secret(given=given)),
        _entry(house, asked, f"{asked.id}: {who} to be forgotten."),
    )
    return asked


def digest_of(key: bytes, unit: str) -> str:
    """What stands for a unit in ledger and audit trail: 16 hexadecimal digits of a keyed hash."""
    return hmac.digest(key, unit.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:16]


class Forgetter:
    """Does what was asked for. For the thread that drains.

    Args:
        house: the app; its process owns the trace store.
        renew: has the drain forget what it remembers of interactions.
        waiting: segments that the drain keeps although it has read them.
        pause: called after each step with the request as it is then, e.g. to stop there in a test.
    """

    def __init__(
        self,
        house: House,
        *,
        renew: Callable[[], None],
        waiting: Callable[[], Collection[Path]],
        pause: Callable[[Forgetting], None] = lambda _: None,
    ) -> None:
        self._house, self._renew, self._waiting, self._pause = house, renew, waiting, pause
        self._key = _key(house)
        self._root = house.spec.data / SPOOL

    def round(self) -> list[Forgetting]:
        """Go on with every open request as far as possible; those that ended.

        Raises:
            StoreError: if a store or the spool cannot be used; it goes on from there in the next round.
        """
        ended: list[Forgetting] = []
        for asked in self._house.control.forgettings(open_only=True):
            now = asked
            while (following := self._step(now)) is not None:
                now = following
                self._pause(now)
            if now.state is ForgettingState.DONE:
                ended.append(now)
        return ended

    def _step(self, asked: Forgetting) -> Forgetting | None:
        """The request after one more step; ``None`` if it has to wait, or is done."""
        match asked.state:
            case ForgettingState.ASKED:
                return self._look(asked)
            case ForgettingState.FOUND:
                return self._erase(asked)
            case ForgettingState.TRACED:
                return self._clear(asked)
            case ForgettingState.CLEARED:
                self._house.control.compact()
                return self._move(asked, ForgettingState.DONE, None, done_at=self._house.now())
            case ForgettingState.DONE:
                return None

    def _look(self, asked: Forgetting) -> Forgetting | None:
        before = set(begun_before(self._root, asked.at)) - set(self._waiting())
        remarks: tuple[str, ...] = ()
        if before:
            if 0 <= self._house.now() - asked.at < _PATIENCE_S:
                return None
            what = counted(len(before), "segment")
            remarks = (
                f"{what} of the spool could not be drained in time: what they hold comes in later, as new.",
            )
        secret = self._secret(asked)
        house = self._house
        names = {*secret.given, *(house.pseudonym(UnitId(one)) for one in secret.given)}
        theirs = house.traces.theirs(names)
        return self._move(
            asked, ForgettingState.FOUND, replace(secret, theirs=theirs), remarks=asked.remarks + remarks
        )

    def _erase(self, asked: Forgetting) -> Forgetting:
        secret, theirs = self._found(asked)
        self._renew()
        learned = scrub(self._house, theirs)
        counts = self._house.traces.erase(theirs)
        return self._move(
            asked, ForgettingState.TRACED, secret, counts={**asked.counts, **counts, "learned": learned}
        )

    def _clear(self, asked: Forgetting) -> Forgetting:
        secret, theirs = self._found(asked)
        house = self._house
        emptied = house.control.forget_cases(asked, theirs.units, theirs.traces, at=house.now())
        removed, remarks = self._spool(asked, secret, theirs)
        kept = 0
        if (folder := house.spec.data / "gateway").is_dir():
            key = derive(master_key(house.spec.data), Purpose.UNIT)
            units = [UnitId(one) for one in sorted({*secret.given, *theirs.units})]
            kept = sum(forget_kept(one, key, units) for one in sorted(folder.iterdir()) if one.is_dir())
        mentioned = house.control.mentions(sorted({*secret.given, *theirs.units}))
        if mentioned:
            where = listed([f"{name} ({count:,})" for name, count in sorted(mentioned.items())])
            remarks.append(f"Rows that people wrote hold the id, and were left: {where}.")
        now = replace(
            asked,
            counts={
                **asked.counts,
                "cases": emptied.cases,
                "eval_sets": emptied.eval_sets,
                "proposals": emptied.proposals,
                "trials": emptied.trials,
                "quarantined": removed,
                "kept_assignments": kept,
            },
            remarks=(*asked.remarks, *remarks),
        )
        return self._move(now, ForgettingState.CLEARED, None, said=_sentence(now))

    def _spool(self, asked: Forgetting, secret: _Secret, theirs: Theirs) -> tuple[int, list[str]]:
        """Take their records out of quarantine, and out of what the drain keeps; how many, and remarks.

        Segments that were begun after the request hold what came later, and are left alone.
        """
        key = derive(master_key(self._house.spec.data), Purpose.SPOOL)
        names = {*secret.given, *theirs.units}
        is_theirs = Whose(
            names, [one for ids in theirs.traces.values() for one in ids], self._house.pseudonym
        )
        removed, unsearched = 0, 0
        discard_parts(self._root)
        closed = set(begun_before(self._root, asked.at)) & set(closed_segments(self._root))
        for path in closed | set(set_aside_segments(self._root, asked.at)):
            try:
                removed += take_out(path, key, is_theirs).removed
            except NotFoundError:
                continue
        for one in quarantined(self._root):
            try:
                found = take_out(one.path, key, is_theirs)
            except NotFoundError:
                continue
            removed += found.removed
            unsearched += found.damage is not None and not found.removed
            if not found.kept and not found.damage:
                discard(one.path)
                continue
            reason = _unnamed(one.reason, names)
            if found.removed or reason != one.reason:
                amend(one, reason=reason, records=found.kept)
        if not unsearched:
            return removed, []
        what = f"{counted(unsearched, 'damaged segment')} in quarantine cannot be searched"
        return removed, [f"{what}: see inchworm quarantine list, and discard what nobody needs."]

    def _found(self, asked: Forgetting) -> tuple[_Secret, Theirs]:
        secret = self._secret(asked)
        return secret, secret.theirs or Theirs(units=frozenset(secret.given))

    def _secret(self, asked: Forgetting) -> _Secret:
        sealed = self._house.control.forgetting_sealed(asked.id)
        if sealed is None:
            raise NotFoundError(f"{asked.id} does not say any more whom it is about")
        return _opened(self._key, asked.id, sealed)

    def _move(
        self,
        asked: Forgetting,
        state: ForgettingState,
        secret: _Secret | None,
        *,
        counts: dict[str, int] | None = None,
        remarks: tuple[str, ...] | None = None,
        done_at: float | None = None,
        said: str | None = None,
    ) -> Forgetting:
        now = replace(
            asked,
            state=state,
            counts=asked.counts if counts is None else counts,
            remarks=asked.remarks if remarks is None else remarks,
            done_at=done_at,
        )
        self._house.control.move_forgetting(
            now,
            sealed=None if secret is None else _sealed(self._key, asked.id, secret),
            entry=None if said is None else _entry(self._house, now, said),
        )
        return now


def _unnamed(reason: str, names: Collection[str]) -> str:
    """A reason without these names; longer ones that one of them is a part of are somebody else's."""
    for name in sorted(names, key=len, reverse=True):
        if len(name) > _MOST_ANYWHERE:
            reason = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", NOBODY, reason)
    return reason


def _sentence(now: Forgetting) -> str:
    said = [counted(count, word) for name, word in _TOLD if (count := now.counts.get(name, 0))]
    whom = counted(len(now.digests), "unit")
    places = now.counts.get("exposures", 0)
    kept = f"; {counted(places, 'place')} in rollouts kept without a name" if places else ""
    return f"{now.id}: {whom} forgotten: {listed(said) if said else 'nothing was there'}{kept}."


def _entry(house: House, asked: Forgetting, what: str) -> LedgerEntry:
    return LedgerEntry(
        app=house.app,
        at=house.now(),
        kind=KIND,
        actor=asked.actor,
        what=what,
        data={"id": asked.id, "digests": list(asked.digests), "counts": dict(asked.counts)},
    )


def _key(house: House) -> bytes:
    return derive(master_key(house.spec.data), Purpose.FORGET)


def _sealed(key: bytes, id_: str, secret: _Secret) -> bytes:
    theirs = secret.theirs
    found = None
    if theirs is not None:
        traces = {str(app): list(ids) for app, ids in theirs.traces.items()}
        found = {"units": sorted(theirs.units), "traces": traces}
    nonce = secrets.token_bytes(_NONCE)
    content = json.dumps({"given": secret.given, "theirs": found}).encode()
    return nonce + AESGCM(key).encrypt(nonce, content, id_.encode())


def _opened(key: bytes, id_: str, sealed: bytes) -> _Secret:
    try:
        content = json.loads(AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], id_.encode()))
    except InvalidTag as error:
        raise StoreError(
            f"{id_} was sealed with another key, and nobody knows whom it is about",
            hint="put the installation's key back with which it was asked for",
        ) from error
    found = content["theirs"]
    theirs = None
    if found is not None:
        theirs = Theirs(
            units=frozenset(found["units"]),
            traces={
                AppRef.parse(app): tuple(TraceId(one) for one in ids) for app, ids in found["traces"].items()
            },
        )
    return _Secret(given=tuple(content["given"]), theirs=theirs)
