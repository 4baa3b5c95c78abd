"""``inchworm adopt``: what runs today becomes stable, declared by hand or told from traffic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inchworm.app.cli.output import emit, note, paragraph, say, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import short
from inchworm.domain.wording import counted

if TYPE_CHECKING:
    from inchworm.app.loop.adopting import Written
    from inchworm.capture.observed import Lifted
    from inchworm.domain.configuration import AppRef
    from inchworm.domain.rollout import Lineage


_UNDO = "inchworm adopt --undo"


@click.command("adopt")
@click.option(
    "--from-traffic",
    is_flag=True,
    help="Tell the configuration from what is seen; so it is without inchworm.yaml.",
)
@click.option("--call", metavar="NAME", help="Of this call, where the app makes several.")
@click.option(
    "--write",
    "target",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the file told from traffic here, and declare nothing.",
)
@click.option("--undo", is_flag=True, help="Make nothing stable again, as long as nothing was rolled out.")
@json_option
@pass_session
def adopt(
    session: Session, *, from_traffic: bool, call: str | None, target: Path | None, undo: bool, as_json: bool
) -> None:
    """Declare what runs today as stable.

    With an inchworm.yaml that is what the file says. Without one, or with --from-traffic, model, parameters,
    prompts and tools are told from the requests that were seen, and written to inchworm.yaml first; a file
    that is there is compared, never overwritten.

    Done once, when nothing is stable yet: after that stable moves by plan, apply and the evidence.
    """
    if undo:
        _taken_back(session, as_json=as_json)
    elif from_traffic or call is not None or target is not None or not session.file.exists():
        _from_traffic(session, call, target, as_json=as_json)
    else:
        _declared(session, as_json=as_json)


def _declared(session: Session, *, as_json: bool) -> None:
    with session.house() as house:
        before = house.control.lineage(house.app)
        lineage = house.declare_stable()
        declared = house.spec.configuration.id
    if as_json:
        emit(_json(app=lineage.app, lineage=lineage, adopted=before is None))
        return
    if before is None:
        say(f"{lineage.app}: {short(lineage.stable)} is stable from now on.")
        say("A rollback lands here. To move on, change inchworm.yaml, then: inchworm plan")
        say(f"Undo:  {_UNDO}")
        return
    since = when(lineage.since)
    say(f"{lineage.app}: {short(lineage.stable)} is stable already, since {since}; nothing was done.")
    if declared != lineage.stable:
        say("inchworm.yaml says something else by now. To get there: inchworm plan")


def _taken_back(session: Session, *, as_json: bool) -> None:
    from inchworm.app.loop.adopting import take_back

    with session.house() as house:
        before = take_back(house)
    if as_json:
        emit(_json(app=before.app, lineage=None))
        return
    say(f"{before.app}: nothing is stable any more, and calls are passed on as they come.")
    say(f"{session.file} is as it was. To declare it again: inchworm adopt")


def _json(
    *,
    app: AppRef,
    lineage: Lineage | None,
    adopted: bool = False,
    lifted: Lifted | None = None,
    written: Written | None = None,
    diff: str | None = None,
) -> dict[str, object]:
    """The same members whatever was asked for."""
    return {
        "app": str(app),
        "stable": None if lineage is None else lineage.stable,
        "since": None if lineage is None else lineage.since,
        "adopted": adopted,
        "call": None if lifted is None else lifted.call or None,
        "requests": None if lifted is None else lifted.seen,
        "files": [] if written is None else [str(path) for path in written.files],
        "notes": [] if written is None else list(written.notes),
        "diff": diff,
        "undo": _UNDO if adopted else None if written is None else _remove(written),
    }


def _from_traffic(session: Session, call: str | None, target: Path | None, *, as_json: bool) -> None:
    from inchworm.app.loop.adopting import difference, drafted, write
    from inchworm.app.loop.observing import lift
    from inchworm.app.loop.surveying import survey

    with session.house() as house:
        lifted = lift(house, call)
        note("looking at the traffic …")
        seen = survey(house.app, (trace for batch in house.traces.iterate(house.app) for trace in batch))
        known = house.control.lineage(house.app)
    made = drafted(lifted, seen)
    file = target or session.file
    if target is None and file.exists():
        _compared(house.app, file, difference(file, made), as_json=as_json)
        return
    if target is None and known is not None:
        raise UsageError(
            f"{short(known.stable)} is stable for {known.app} already, and {file} is gone",
            hint=f"write down what is seen: inchworm adopt --from-traffic --write {file}",
        )
    written = write(file, lifted, made)
    lineage = None
    if target is None:
        with session.house() as house:
            lineage = house.declare_stable()
    if as_json:
        emit(
            _json(app=house.app, lineage=lineage, adopted=lineage is not None, lifted=lifted, written=written)
        )
        return
    say(*_lines(lifted, written, lineage))


def _compared(app: AppRef, file: Path, differs: str, *, as_json: bool) -> None:
    if as_json:
        emit(_json(app=app, lineage=None, diff=differs))
        return
    if not differs:
        say(f"{file} says what is seen.")
        return
    say(*differs.splitlines())
    note("", f"{file} is there, and nothing was written. To have the other beside it, or to take it instead:")
    note("  inchworm adopt --from-traffic --write FILE")


def _lines(lifted: Lifted, written: Written, lineage: Lineage | None) -> list[str]:
    of = f" of the call {one_line(lifted.call)}" if lifted.call else ""
    files = ", ".join(str(path) for path in written.files)
    lines = [f"Written: {files}, told from {counted(lifted.seen, 'request')}{of}."]
    for sentence in written.notes:
        lines += ["", *paragraph(sentence, indent=2)]
    lines.append("")
    if lineage is None:
        lines += paragraph(f"Nothing was declared. Undo: {_remove(written)}")
        return lines
    lines += paragraph(
        f"{lineage.app}: {short(lineage.stable)} is stable from now on. Your callers notice nothing: what is "
        "applied is what they send. A rollback lands here."
    )
    lines += [
        f"Undo:  {_UNDO}",
        f"Next:  change one line of {written.files[0]}, then: inchworm plan",
    ]
    return lines


def _remove(written: Written) -> str:
    return f"rm {' '.join(str(path) for path in written.files)}"
