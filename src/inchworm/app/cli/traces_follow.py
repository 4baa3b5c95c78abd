"""``inchworm traces --follow``: new interactions as they arrive, until somebody stops it."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, NoReturn

import click

from inchworm.app import asjson, filters
from inchworm.app.cli.groups import INTERRUPTED, end
from inchworm.app.cli.output import note, say, table, when
from inchworm.app.cli.session import Session
from inchworm.app.cli.traces import line
from inchworm.domain.errors import StoreError

if TYPE_CHECKING:
    from inchworm.app.filters import Said
    from inchworm.domain.ids import TraceId
    from inchworm.domain.trace import Trace

_EVERY_S = 0.5
_PAGE = 200


def follow(session: Session, said: Said, *, as_json: bool) -> NoReturn:
    """Print what arrives from now on.

    The house is opened for each look and closed again: without a server whoever reads a file in gets the
    stores meanwhile, and a server that is started is found.

    Args:
        session: the call.
        said: filters.
        as_json: a JSON object per line, in place of text.

    Raises:
        InchwormError: if the first look fails; later ones are tried again.
    """
    seen, told, stopped = None, False, False

    def stop(number: int, frame: object) -> None:
        nonlocal stopped
        del number, frame
        stopped = True
        signal.signal(signal.SIGINT, before)  # the second time at once

    # An exception that is raised just anywhere can get lost in a library; a mark cannot.
    before = signal.signal(signal.SIGINT, stop)
    try:
        while not stopped:
            try:
                seen = _look(session, said, seen, as_json=as_json)
                told = False
            except StoreError as error:
                if seen is None:
                    raise
                if not told:  # once, not twice a second
                    note(f"{error.message}; waiting for it")
                told = True
            if not stopped:
                _wait(_EVERY_S)
    except KeyboardInterrupt:
        end(INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, before)
    end(INTERRUPTED)


def _wait(seconds: float) -> None:
    time.sleep(seconds)


def _look(session: Session, said: Said, seen: int | None, *, as_json: bool) -> int:
    """Print what arrived since, and say up to where that is."""
    with session.house() as house:
        if seen is None:
            seen = house.traces.arrived_after(house.app, None).seen
            note("waiting for new interactions; Ctrl-C ends it")
        wanted = filters.made(house, **said)
        while True:
            came = house.traces.arrived_after(house.app, seen, filters=wanted, limit=_PAGE)
            clusters = house.traces.clusters(house.app, [one.id for one in came.traces])
            for one in came.traces:
                _print(one, clusters, as_json=as_json)
            if came.seen == seen or len(came.traces) < _PAGE:
                return came.seen
            seen = came.seen


def _print(one: Trace, clusters: dict[TraceId, str], *, as_json: bool) -> None:
    cluster = clusters.get(one.id)
    if as_json:
        click.echo(json.dumps({"version": 1, **asjson.trace(one, cluster)}, ensure_ascii=False))
        return
    id_, _, *rest = line(one, cluster)
    say(*table([[f"{id_:<12}", when(one.at, seconds=True), *rest]], indent=0))
