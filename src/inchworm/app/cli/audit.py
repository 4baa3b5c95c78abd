"""``inchworm audit``: who did what, and whether that is still what was written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from inchworm.app import asjson, names
from inchworm.app.cli.groups import Lazy, LazyGroup, end
from inchworm.app.cli.output import emit, note, say, table, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line
from inchworm.domain.errors import InputError

_HERE = "inchworm.app.cli.audit"
_BROKEN = 1

group = LazyGroup(
    name="audit",
    default="ls",
    lazy={
        "ls": Lazy(f"{_HERE}:ls", "List who did what (what you get without a command)."),
        "verify": Lazy(f"{_HERE}:verify", "Check that nothing was changed or removed."),
        "export": Lazy(f"{_HERE}:export", "Write the whole trail as JSON lines."),
    },
    help="The audit trail: who did what, in a chain of hashes that shows every change.",
)
"""``inchworm audit``."""


@click.command("ls")
@click.option("--actor", metavar="NAME", help="Only what this one did.")
@click.option("--action", metavar="KIND", help="Only this: rollout, rollout.pause, key, lineage, ledger.")
@click.option("--subject", metavar="ID", help="Only about this, e.g. a rollout.")
@click.option("--since", metavar="WHEN", help="2h, 7d, or 2026-11-09T14:00.")
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
def ls(
    session: Session,
    *,
    actor: str | None,
    action: str | None,
    subject: str | None,
    since: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List who did what, newest first."""
    from inchworm.store.control import AuditFilter

    with session.house() as house:
        now = house.now()
        asked = AuditFilter(
            actor=actor,
            action=action,
            subject=subject,
            since=None if since is None else names.moment(since, now),
        )
        found, following = house.control.audit_page(house.app, only=asked, limit=limit)
    if as_json:
        emit({"entries": [asjson.audit_entry(one) for one in found], "after": following})
        return
    if not found:
        say("Nothing of that kind was done.")
        return
    rows = [
        [
            str(one.number),
            when(one.at, now),
            one_line(one.actor, 24),
            one.action,
            one_line(one.subject, 16),
            one_line(one.because),
        ]
        for one in found
    ]
    say(*table(rows, heads=["", "when", "who", "did", "to", "because"], right={0}, indent=0))
    if following is not None:
        note(f"There are older ones: --limit {min(limit * 4, 1_000)}, or inchworm audit export.")


@click.command("verify")
@click.option(
    "--expect",
    metavar="HASH",
    help="A head that was printed before and kept elsewhere: found missing if entries were cut off.",
)
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Verify an exported file instead, without the installation that wrote it.",
)
@json_option
@pass_session
def verify(session: Session, *, expect: str | None, file: Path | None, as_json: bool) -> None:
    """Check that nothing was changed or removed, and print the head of the chain.

    Walks all entries of the installation, and compares the decisions, rollouts, ledger entries, keys and
    serving tables that they tell of with what is stored. Keep the head that is printed somewhere else, and
    hand it in as --expect the next time. The exit code is 1 if something is broken.
    """
    from inchworm.store.control import AuditCheck
    from inchworm.store.control.chain import BEGINNING, first, walk

    wanted = None if expect is None else expect.strip().lower()
    if wanted is not None and (len(wanted) != len(BEGINNING) or set(wanted) - set("0123456789abcdef")):
        raise InputError(
            f"a head has {len(BEGINNING)} hexadecimal digits",
            hint="inchworm audit verify prints the present one",
        )
    if file is None:
        with session.house() as house:
            check = house.control.verify_audit(wanted)
    else:
        walked = walk(_lines(file), wanted)
        check = AuditCheck(entries=walked.entries, head=walked.head, breaks=tuple(first(walked.breaks)))
    if as_json:
        emit(asjson.audit_check(check))
    elif not check.breaks:
        say(f"All {check.entries:,} entries are as they were written.", f"head {check.head.hash}")
        note("Keep the head elsewhere. Later: inchworm audit verify --expect HEAD")
    else:
        say(f"BROKEN: {check.breaks[0].because}.", *(f"        {one.because}." for one in check.breaks[1:]))
        note("Restore a backup from before it, or ask who had access to the data directory.")
    if check.breaks:
        end(_BROKEN)


@click.command("export")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to; standard output if left out.",
)
@json_option
@pass_session
def export(session: Session, *, output: Path | None, as_json: bool) -> None:
    """Write the whole trail as JSON lines, each with its hash and the one before it.

    Whoever has the file can check it: inchworm audit verify --file FILE. On standard output it is JSON lines
    either way; --json says what was written to a file.
    """
    from inchworm.domain.canonical import canonical

    with session.house() as house:
        lines = map(canonical, house.control.audit_lines())
        if output is None:
            for one in lines:
                click.echo(one)
            return
        count = 0
        with output.open("w", encoding="utf-8") as file:
            for one in lines:
                file.write(f"{one}\n")
                count += 1
    if as_json:
        emit({"file": str(output), "entries": count})
        return
    note(f"{count:,} entries in {output}.", f"Check it: inchworm audit verify --file {output}")


def _lines(file: Path) -> Iterator[Mapping[str, Any]]:
    """The entries of an exported file.

    Raises:
        InputError: if a line is none.
    """
    from inchworm.store.control.chain import FORMAT, MEMBERS

    with file.open(encoding="utf-8", errors="replace") as opened:
        for number, text in enumerate(opened, start=1):
            try:
                entry = json.loads(text)
            except ValueError:
                entry = None
            if (
                not isinstance(entry, dict)
                or entry.keys() != {"format", "previous", *MEMBERS}
                or entry["format"] != FORMAT
            ):
                raise InputError(
                    f"{file}:{number} is no line of an exported audit trail ({FORMAT})",
                    hint="inchworm audit export -o FILE writes one",
                )
            yield entry
