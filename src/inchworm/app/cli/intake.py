"""``inchworm import``: files of interactions in; sanitized, scored and stored interactions out."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from inchworm.app.cli.groups import end
from inchworm.app.cli.output import Progress, emit, note, paragraph, say, table, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import printable
from inchworm.domain.errors import InputError
from inchworm.domain.wording import counted

if TYPE_CHECKING:
    from inchworm.app.house import House
    from inchworm.app.loop.intake import Drain

_SHOWN = 10
_STDIN = "-"
_BLOCK = 1 << 20


@click.command("import")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path, allow_dash=True)
)
@click.option(
    "--dialect", metavar="NAME", help="How the lines are written; recognised line by line if left out."
)
@click.option("--again", is_flag=True, help="Read a file although it was read before.")
@json_option
@pass_session
def command(
    session: Session, *, files: Sequence[Path], dialect: str | None, again: bool, as_json: bool
) -> None:
    """Read interactions in, sanitized.

    FILE is JSONL, plain or gzipped; - is standard input. Personal data and secrets are replaced before
    anything is stored, and what cannot be sanitized is refused. The same file read twice adds nothing.
    """
    from inchworm.app.loop.intake import Drain

    _check(files, dialect)
    with session.house() as house:
        drain = Drain(house)
        done = [_file(house, drain, file, dialect, again=again) for file in files]
    if as_json:
        emit({"app": str(house.app), "files": done})
    else:
        for position, one in enumerate(done):
            say(*[""][: position > 0], *_lines(one))
        if any(one["new"] for one in done):
            say("", "Next: inchworm label")
    if any(one["lines"] and not one["accepted"] and not one["known"] for one in done):
        note("error: nothing could be read; see the reasons above")
        end(2)


def _check(files: Sequence[Path], dialect: str | None) -> None:
    from inchworm.capture import DIALECTS

    if dialect is not None and dialect not in DIALECTS:
        raise InputError(
            f'there is no dialect "{printable(dialect)}"', hint=f"known are: {', '.join(DIALECTS)}"
        )
    for file in files:
        if str(file) == _STDIN:
            continue
        if file.is_dir():
            raise InputError(
                f"{file} is a folder", hint=f"name the files in it: inchworm import {file}/*.jsonl"
            )
        if not file.exists():
            raise InputError(f"there is no file {file}")


def _file(house: House, drain: Drain, file: Path, dialect: str | None, *, again: bool) -> dict[str, Any]:
    """One file read in: what became of its lines."""
    from inchworm.app.loop import importing

    progress = Progress("read")

    def take(stream: BinaryIO, name: str) -> dict[str, Any]:
        try:
            return importing.take(
                house, drain, stream, name, dialect=dialect, watch=lambda n: progress(n, also=" lines")
            )
        finally:
            progress.clear()

    if str(file) == _STDIN:
        return take(sys.stdin.buffer, "standard input")
    digest = hashlib.sha256()
    with file.open("rb") as whole:
        while block := whole.read(_BLOCK):
            digest.update(block)
    before = None if again else importing.known(house, str(file), digest.hexdigest())
    if before is not None:
        return before
    with file.open("rb") as opened:
        return take(opened, str(file))


def _lines(one: dict[str, Any]) -> list[str]:
    name = printable(one["file"])
    if one["known"]:
        return [f"{name} was read in on {when(one['at'])}; nothing to do. To read it again: --again"]
    refused = sum(one["refused"].values())
    rows = [
        [f"{one['new']:,}", "stored"],
        [f"{one['duplicate']:,}", "known already"],
        [f"{one['rejected']:,}", "rejected: could not be read"],
        [f"{refused:,}", "refused: not safe to store"],
    ]
    lines = [f"{name}: {counted(one['lines'], 'line')}"]
    lines += table([row for position, row in enumerate(rows) if position == 0 or row[0] != "0"], right={0})
    if one["found"]:
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in one["found"].items())
        lines += paragraph(f"Replaced in {counted(one['sanitized'], 'interaction')}: {kinds}.")
    elif one["new"]:
        lines.append("No personal data and no secrets were found.")
    lines += _remarks(one)
    if one["first_rejected"]:
        lines += ["Rejected:"]
        lines += table(
            [[f"line {bad['line']:,}", printable(bad["reason"])] for bad in one["first_rejected"]], right={0}
        )
        if one["rejected"] > _SHOWN:
            lines.append(f"  and {one['rejected'] - _SHOWN:,} more")
    if refused:
        lines += ["Refused:"]
        lines += table([[f"{number:,}", printable(why)] for why, number in one["refused"].items()], right={0})
    return lines


def _remarks(one: dict[str, Any]) -> list[str]:
    remarks = {
        "without_content": "do not say what was asked: they count, and make no cases",
        "without_time": "do not say when: they count as of this import",
        "derived_units": "name no session and no user: each conversation counts as one unit",
    }
    rows = [[f"{one[key]:,}", text] for key, text in remarks.items() if one[key]]
    return table(rows, right={0})
