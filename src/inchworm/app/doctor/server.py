"""What a running server finds: of its own data directory, its gateways, its provider and its stores."""

from __future__ import annotations

import os
from collections.abc import Sequence

from inchworm.app.asking import ask
from inchworm.app.doctor import checks, observe, seen, stored, traffic
from inchworm.app.doctor.findings import Finding, Report
from inchworm.app.house import House
from inchworm.app.serve.start import GATEWAY
from inchworm.app.serve.state import ServerState


def examined(house: House, state: ServerState, *, offline: bool = False) -> Report:
    """Everything, as the server sees it.

    Args:
        house: the app, in the name of whoever asks.
        state: what the server knows beside it.
        offline: whether the provider is not to be tried.

    Raises:
        StoreError: if a store cannot be read.
    """
    spec, now, program = house.spec, house.now(), observe.program()
    declared = observe.declaration(spec.file)[0]
    return Report(
        version=program.version,
        findings=(
            *checks.program(program),
            *checks.declaration(declared, data=True),
            *checks.folder(observe.folder(spec.data)),
            *checks.key(observe.key(spec.data, os.environ)),
            *checks.store(observe.control(spec.data)),
            *checks.health(state.health()),
            *checks.gateways(gateways(state), now),
            *of_provider(house, offline=offline),
            *checks.spool(observe.spool(spec.data), now, runs=True),
            *of_rows(house),
            *traffic.traffic(stored.traffic(house), now),
        ),
    )


def of_provider(house: House, *, offline: bool) -> list[Finding]:
    """What is found of the provider; nothing where a recording answers."""
    found = observe.upstream(house.spec, os.environ, offline=offline)
    return [] if found is None else checks.upstream(found)


def of_rows(house: House) -> list[Finding]:
    """What is found in the control store.

    Raises:
        StoreError: if it cannot be read.
    """
    now = house.now()
    return [
        *traffic.rollouts(stored.rollouts(house), now),
        *checks.audit(stored.audit(house)),
        *checks.notifications(stored.notifications(house, os.environ)),
        *checks.api_keys(stored.api_keys(house), now),
    ]


def gateways(state: ServerState) -> Sequence[seen.Gateway]:
    """Every gateway that asked since the server started, and the installation's own in any case."""
    every = [
        _gateway(
            one.name,
            state.gateway_url if one.name == GATEWAY and state.gateway_url is not None else one.url,
            one.at,
            current=one.holds == state.publisher.version,
            own=one.name == GATEWAY and state.gateway_url is not None,
        )
        for one in state.publisher.gateways()
    ]
    if state.gateway_url is not None and not any(one.own for one in every):
        every.append(_gateway(GATEWAY, state.gateway_url, None, current=False, own=True))
    return every


def _gateway(name: str, url: str, at: float | None, *, current: bool, own: bool) -> seen.Gateway:
    said = ask(url, "/-/ready")
    confirmed = said.body.get("confirmed_at") if said is not None and isinstance(said.body, dict) else None
    # It asks again right after it has heard: both moments are the same, by two clocks.
    offset = confirmed - at if isinstance(confirmed, int | float) and at is not None else None
    return seen.Gateway(
        name=name,
        url=url,
        own=own,
        asked_at=at,
        current=current,
        answers=said is not None,
        offset_s=offset,
    )
