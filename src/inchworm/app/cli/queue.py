"""``inchworm queue``: what is in flight, what waits and why, and the freezes ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from inchworm.app import asjson
from inchworm.app.cli.output import emit, heading, paragraph, say, table, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.domain.wording import listed

if TYPE_CHECKING:
    from inchworm.app.loop.queueing import Early, Place, Queue, Range

_SHOWN = 10


@click.command("queue")
@json_option
@pass_session
def command(session: Session, *, as_json: bool) -> None:
    """Show what is in flight, what waits and why, and the freezes of the next 14 days.

    What waits next is benchmarked early, against stable with what is in flight: the result decides only when
    its turn comes, and only on exactly that base.
    """
    from inchworm.app.loop.queueing import look

    with session.house() as house:
        seen = look(house)
    if as_json:
        emit(asjson.queue(seen))
    else:
        say(*_lines(seen))


def _lines(seen: Queue) -> list[str]:
    out: list[str] = []
    if seen.frozen is not None:
        out += [*paragraph(f"Frozen: nothing starts and nothing grows in {seen.frozen}."), ""]
    if seen.running is None and not seen.waiting:
        out.append("Nothing is in flight and nothing waits. Begin with: inchworm plan")
    if seen.running is not None:
        out += [heading("In flight"), *_place(seen.running), ""]
    if seen.waiting:
        out.append(heading("Queued, in this order"))
        for place in seen.waiting:
            out += [*_place(place), ""]
    if seen.freezes:
        out.append(heading("Freezes of the next 14 days"))
        rows = [
            [when(span.start), "–", when(span.end), span.window.text, span.window.reason]
            for span in seen.freezes[:_SHOWN]
        ]
        out += table(rows)
        if len(seen.freezes) > _SHOWN:
            out.append(f"  and {len(seen.freezes) - _SHOWN} more")
    while out and not out[-1]:
        out.pop()
    return out


def _place(place: Place) -> list[str]:
    from inchworm.rollout.wording import standing

    one = place.rollout
    emergency = "EMERGENCY · " if one.emergency is not None else ""
    layers = listed([str(layer) for layer in one.layers])
    step = f"step {one.step} of {one.steps} of {one.plan_id}"
    out = paragraph(
        f"{emergency}{one.id} · {layers} · {step} · {standing(one)} · applied by {one.author}", indent=2
    )
    for clause in place.waits:
        out += paragraph(f"waits: {clause}", indent=4)
    if place.early is not None:
        out += paragraph(f"benchmarked early: {_early(place.early)}", indent=4)
    if place.starts is not None:
        out.append(f"    starts: {_range(place.starts)}")
    if place.ends is not None:
        out.append(f"    stable: {_range(place.ends)}, if nothing stops it")
    return out


def _early(early: Early) -> str:
    if early.result is None:
        return {"ready": "not begun", "leased": "being made"}.get(early.state.value, early.state.value)
    verdict = early.result.verdict.value.replace("_", " ")
    return f"{verdict}: {early.result.because}"


def _range(span: Range) -> str:
    return when(span.low) if span.low == span.high else f"{when(span.low)} … {when(span.high)}"
