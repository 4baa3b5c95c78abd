"""What gateways and clients are told to serve: built from the rows, signed, and handed on when it changes."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass

from inchworm.app.house import CONTROL, House
from inchworm.app.serve.state import GatewaySeen, Pulse
from inchworm.domain.errors import StoreError
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.layers import Layer
from inchworm.domain.published import Published, PublishedApp, PublishedKey, version


def published(house: House) -> Published:
    """What is served now: the declared app with its table and what the table names, and who may send.

    Raises:
        StoreError: if the control store cannot be read.
    """
    spec, control = house.spec, house.control
    table, unit = control.serving(spec.app), spec.policy.unit
    named = []
    if table is not None:
        named = [table.stable]
        if table.candidate is not None:
            named.append(table.candidate.configuration_id)
            # Another one that is declared meanwhile would give the same people other ids in mid-rollout.
            unit = control.rollout(table.candidate.rollout_id).policy.unit
    return Published(
        apps=(
            PublishedApp(
                app=spec.app,
                unit=unit,
                infrastructure=spec.configuration.layer(Layer.INFRASTRUCTURE),
                table=table,
                configurations={id_: control.configuration(id_) for id_ in named},
            ),
        ),
        keys=tuple(
            PublishedKey(id=one.id, digest=one.digest, app=one.app, expires_at=one.expires_at)
            for one in control.api_keys()
            if one.valid(house.now())
        ),
    )


@dataclass(frozen=True, slots=True)
class _Held:
    document: bytes
    version: str


class LivePublisher:
    """Keeps the signed document up to date, and wakes whoever waits for the next one.

    :meth:`refresh` and :meth:`changed` are for one loop that calls them; the rest is for anybody.

    Args:
        house: what is served comes from its control store.
        master: the installation's key.

    Raises:
        StoreError: if the control store cannot be read.
    """

    def __init__(self, house: House, master: bytes) -> None:
        self._house = house
        self._key = derive(master, Purpose.PUBLISHED)
        self._next = Pulse()
        self._gateways: dict[str, GatewaySeen] = {}
        # A connection of its own, on which nothing is written: its data_version changes with every commit of
        # anybody else's, in this process or in another (sqlite.org/pragma.html#pragma_data_version).
        self._watch = sqlite3.connect(house.spec.data / CONTROL, check_same_thread=False)
        self._seen = self._data_version()
        self._spec = house.spec
        self._held = self._made()

    @property
    def version(self) -> str:
        """The version of the present document."""
        return self._held.version

    @property
    def document(self) -> bytes:
        """The present signed document."""
        return self._held.document

    async def newer_than(self, version: str | None, *, timeout_s: float) -> bytes | None:
        """The document once its version differs from ``version``; ``None`` after ``timeout_s`` seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while True:
            count = self._next.count
            held = self._held
            if held.version != version:
                return held.document
            left = end - loop.time()
            if left <= 0 or self._next.stopped:
                return None
            await self._next.after(count, timeout_s=left)

    def heard_from(self, gateway: GatewaySeen) -> None:
        """A gateway asked."""
        self._gateways[gateway.name] = gateway

    def gateways(self) -> tuple[GatewaySeen, ...]:
        """Every gateway that asked since the server started, by name."""
        return tuple(self._gateways[name] for name in sorted(self._gateways))

    def changed(self) -> bool:
        """Whether anybody wrote to the control store, or the declaration changed, since this was asked last.

        Raises:
            StoreError: if the control store cannot be read.
        """
        seen, spec = self._data_version(), self._house.spec
        if seen == self._seen and spec is self._spec:
            return False
        self._seen, self._spec = seen, spec
        return True

    def refresh(self) -> bool:
        """Build the document anew from the rows; whether it differs. Whoever waits gets it at once then.

        Raises:
            StoreError: if the control store cannot be read.
        """
        made = self._made()
        if made.version == self._held.version:
            return False
        self._held = made
        self._next.beat()
        return True

    def stop(self) -> None:
        """Wake everybody who waits, a last time."""
        self._next.stop()

    def close(self) -> None:
        """Let go of the control store, when nobody asks any more."""
        self._watch.close()

    def _made(self) -> _Held:
        document = published(self._house).sign(self._key)
        return _Held(document, version(document))

    def _data_version(self) -> int:
        try:
            (number,) = self._watch.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"{self._house.spec.data / CONTROL} cannot be read: {error}") from error
        return int(number)
