"""``inchworm notify``: who is told of decisions, whether they were, and a test of it."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import click

from inchworm.app import asjson
from inchworm.app.cli.groups import Lazy, LazyGroup, end
from inchworm.app.cli.output import emit, note, say, table, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line
from inchworm.domain.errors import NotFoundError
from inchworm.domain.wording import counted

if TYPE_CHECKING:
    from inchworm.app.house import House
    from inchworm.app.notify.sending import Attempt
    from inchworm.domain.notice import Notice, Target

_HERE = "inchworm.app.cli.notify"

group = LazyGroup(
    name="notify",
    default="ls",
    lazy={
        "ls": Lazy(f"{_HERE}:ls", "List who is told, and what waits or failed (the default)."),
        "test": Lazy(f"{_HERE}:test", "Send one now, and say what came back."),
        "retry": Lazy(f"{_HERE}:retry", "Have what was given up sent again."),
        "send": Lazy(f"{_HERE}:send", "Send what is due now, where no server runs."),
    },
    help="Who is told of decisions (notify: in inchworm.yaml), and whether they were.",
)
"""``inchworm notify``."""


@click.command("ls")
@click.option("--all", "everything", is_flag=True, help="Also those that were sent.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000),
    default=50,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@json_option
@pass_session
def ls(session: Session, *, everything: bool, limit: int, as_json: bool) -> None:
    """List who is told, and what waits or failed, newest first."""
    from inchworm.domain.notice import NoticeState

    with session.house() as house:
        states = None if everything else {NoticeState.WAITING, NoticeState.FAILED}
        found = house.control.notices(house.app, states, limit=limit)
        counts, now = house.control.notice_counts(house.app), house.now()
        targets = house.spec.notify
    if as_json:
        emit(
            {
                "targets": [asjson.target(one) for one in targets],
                "counts": {state.value: count for state, count in counts.items()},
                "notifications": [asjson.notice(one) for one in found],
            }
        )
        return
    if not targets:
        say("Nobody is told: inchworm.yaml has no notify.")
    rows = [[one.key, one.format.value, one_line(one.url, 40), ", ".join(one.events)] for one in targets]
    say(*table(rows, heads=["target", "format", "to", "of"], indent=0))
    if found:
        told = [
            [one.id, when(one.at, now), one.event, _state(one, now), one_line(one.error or "")]
            for one in found
        ]
        say("", *table(told, heads=["id", "at", "of", "state", ""], indent=0))
    if counts[NoticeState.FAILED]:
        note("What failed is sent again with: inchworm notify retry")


@click.command("test")
@click.option("--target", metavar="KEY", help="Only to this one, as inchworm notify names it.")
@json_option
@pass_session
def test(session: Session, *, target: str | None, as_json: bool) -> None:
    """Send one notification now, from here, and say what came back.

    The exit code is 1 if somebody did not take it.
    """
    with session.house() as house:
        chosen = [one for one in house.spec.notify if target in {None, one.key}]
        if not chosen:
            raise NotFoundError(
                "inchworm.yaml names nobody to tell"
                if target is None
                else f"inchworm.yaml has no target {target}",
                hint="inchworm notify ls",
            )
        made = asyncio.run(_tested(house, chosen))
    if as_json:
        emit({"attempts": [_attempt(one, came) for one, came in made]})
    else:
        for one, came in made:
            what = f"taken ({came.status})." if came.error is None else f"NOT taken: {came.error}"
            say(f"{one.key}  {one_line(one.url, 40)}: {what}")
    if any(came.error is not None for _, came in made):
        end(1)


@click.command("retry")
@click.argument("notice_id", metavar="[ID]", required=False)
@json_option
@pass_session
def retry(session: Session, *, notice_id: str | None, as_json: bool) -> None:
    """Have what was given up sent again: one notification, or all."""
    with session.house() as house:
        count = house.control.retry_notices(house.app, now=house.now(), id=notice_id)
    if as_json:
        emit({"waiting": count})
    elif count:
        say(f"The server sends {counted(count, 'notification')} again; without one: inchworm notify send")
    else:
        say("Nothing of that kind was given up.")


@click.command("send")
@json_option
@pass_session
def send(session: Session, *, as_json: bool) -> None:
    """Send what is due now. A server does this by itself; this is for where none runs."""
    from inchworm.app.notify.sending import Sender

    with session.house() as house:
        made = asyncio.run(Sender(house, _pages(house)).round(owner=session.owner))
    counts = {result: made[result] for result in ("sent", "again", "failed")}
    if as_json:
        emit(counts)
    else:
        say(", ".join(f"{count} {result}" for result, count in counts.items()) + ".")


async def _tested(house: House, targets: list[Target]) -> list[tuple[Target, Attempt]]:
    """One message to each."""
    from inchworm.app.notify.sending import Sender, session
    from inchworm.domain.notice import Notice

    sender, now = Sender(house, _pages(house)), house.now()
    around = sender.around()
    notice = Notice(
        id=f"test/{secrets.token_hex(8)}",
        app=house.app,
        target="",
        event="test",
        at=now,
        data={
            "event": "test",
            "app": str(house.app),
            "sentence": f"a test of notifications, sent by {house.actor}. Nothing has happened.",
            "rollout": None,
            "decision": None,
            "evidence": None,
            "undo": None,
        },
    )
    async with session() as opened:
        return [(one, await sender.send(opened, notice, one, around)) for one in targets]


def _pages(house: House) -> str | None:
    """Where the pages of the server are that runs here, if one does."""
    from inchworm.app.serve.files import running

    found = running(house.spec.data)
    return None if found is None else found.url.rstrip("/")


def _state(one: Notice, now: float) -> str:
    if one.state.value != "waiting" or not one.attempts:
        return one.state.value
    return f"again at {when(one.due_at, now)} (attempt {one.attempts + 1})"


def _attempt(target: Target, came: Attempt) -> dict[str, Any]:
    return {**asjson.target(target), "taken": came.error is None, "status": came.status, "error": came.error}
