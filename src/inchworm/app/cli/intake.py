"""``inchworm import``: files of interactions in; sanitized, scored and stored interactions out."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from inchworm.app.cli.groups import end
from inchworm.app.cli.output import Progress, emit, note, paragraph, printable, say, table, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.domain.errors import InputError
from inchworm.domain.wording import counted

if TYPE_CHECKING:
    from inchworm.app.house import House
    from inchworm.app.loop.intake import Drain, Intake
    from inchworm.capture import Reading, Rejected
    from inchworm.domain.trace import Trace

_SHOWN = 10
_STDIN = "-"
_BLOCK = 1 << 20


class _Hashing:
    """A binary stream that is hashed as it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self.hash.update(data)
        return data


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
    if str(file) == _STDIN:
        stream = _Hashing(sys.stdin.buffer)
        return _take(house, drain, stream, "standard input", dialect)
    digest = hashlib.sha256()
    with file.open("rb") as whole:
        while block := whole.read(_BLOCK):
            digest.update(block)
    known = house.control.import_seen(house.app, digest.hexdigest())
    if known is not None and not again:
        return {"file": str(file), "known": True, "at": known.at, **_nothing()}
    with file.open("rb") as opened:
        return _take(house, drain, _Hashing(opened), str(file), dialect)


def _nothing() -> dict[str, Any]:
    return {
        "lines": 0,
        "accepted": 0,
        "rejected": 0,
        "new": 0,
        "duplicate": 0,
        "refused": {},
        "sanitized": 0,
        "found": {},
        "without_content": 0,
        "without_time": 0,
        "derived_units": 0,
        "first_rejected": [],
    }


def _take(house: House, drain: Drain, stream: _Hashing, name: str, dialect: str | None) -> dict[str, Any]:
    from inchworm.capture import read

    now = house.now()
    reading = read(stream, app=house.app, default_at=now, dialect=dialect)
    rejected: list[Rejected] = []
    intake = drain.take(_accepted(reading, rejected))
    tally = reading.tally
    counts = {
        "lines": tally.lines,
        "accepted": tally.accepted,
        "rejected": tally.rejected,
        "new": intake.new,
        "duplicate": intake.duplicate,
        "refused": intake.refused.total(),
    }
    _remember(house, stream.hash.hexdigest(), name, counts, now)
    return {
        "file": name,
        "known": False,
        "at": now,
        **counts,
        "refused": dict(intake.refused.most_common()),
        "sanitized": intake.sanitized,
        "found": _found(intake),
        "without_content": tally.without_content,
        "without_time": tally.without_time,
        "derived_units": tally.derived_units,
        "first_rejected": _reasons(house, rejected),
    }


def _reasons(house: House, rejected: Sequence[Rejected]) -> list[dict[str, Any]]:
    """Why lines were rejected. Reasons may quote a name or a short value, so they are sanitized too."""
    from inchworm.sanitize import Sanitizer, UnsanitizableError

    sanitizer = Sanitizer(kinds=house.spec.sanitize.kinds, custom=house.spec.sanitize.custom)
    reasons: list[dict[str, Any]] = []
    for one in rejected:
        try:
            reason = printable(sanitizer.unit().text(one.reason).text)
        except UnsanitizableError as error:
            reason = f"it cannot be shown: {error.message}"
        reasons.append({"line": one.line, "reason": reason})
    return reasons


def _accepted(reading: Reading, rejected: list[Rejected]) -> Iterator[Trace]:
    from inchworm.capture import Rejected

    progress = Progress("read")
    for item in reading:
        progress(reading.tally.lines, also=" lines")
        if not isinstance(item, Rejected):
            yield item
        elif len(rejected) < _SHOWN:
            rejected.append(item)
    progress.clear()


def _found(intake: Intake) -> dict[str, int]:
    return dict(intake.report.by_kind.most_common())


def _remember(house: House, digest: str, name: str, counts: dict[str, int], at: float) -> None:
    from inchworm.domain.rollout import LedgerEntry
    from inchworm.store.control import ImportRecord

    # a file of which nothing was accepted is no import: mended, or read by another dialect, it may come again
    if not counts["accepted"]:
        return
    house.control.put_import(ImportRecord(app=house.app, digest=digest, file=name, counts=counts, at=at))
    if counts["new"]:
        what = f"{counted(counts['new'], 'interaction')} imported from {printable(name)}."
        data = {"digest": digest, "counts": counts}
        house.control.append_ledger(
            LedgerEntry(app=house.app, at=at, kind="import", actor=house.actor, what=what, data=data)
        )


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
        lines += table([[f"line {bad['line']:,}", bad["reason"]] for bad in one["first_rejected"]], right={0})
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
