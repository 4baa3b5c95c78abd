"""``inchworm import``: interactions of files and servers in; sanitized, scored and stored ones out."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

import click

from inchworm.app.cli.groups import end
from inchworm.app.cli.intake_view import lines_of
from inchworm.app.cli.output import emit, note, say
from inchworm.app.cli.progress import Bar
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import printable
from inchworm.domain.errors import InputError, UsageError

if TYPE_CHECKING:
    from inchworm.app.house import House
    from inchworm.app.loop.importing import Stood, Watch
    from inchworm.app.loop.intake import Drain
    from inchworm.app.loop.taking import Refusals

_STDIN, _LANGFUSE = "-", "langfuse"
_BLOCK = 1 << 20
_FORMATS = ("jsonl", "csv", "parquet", "otlp-json", "langfuse")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """How the sources are read."""

    form: str | None
    dialect: str | None
    again: bool
    quiet: bool


@click.command("import")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="How the files are written; told by their names and beginnings if left out.",
)
@click.option(
    "--dialect", metavar="NAME", help="How lines and rows are written; recognised one by one if left out."
)
@click.option("--again", is_flag=True, help="Begin at the beginning, although it was read before.")
@click.option(
    "--rejects",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write line number and reason of everything that is not stored to this file, as JSONL.",
)
@click.option("--url", metavar="URL", help="Of the Langfuse server.")
@click.option(
    "--since", metavar="WHEN", help="From a Langfuse server, from this time on: 2h, 7d, 2026-11-09."
)
@click.option("--until", metavar="WHEN", help="The same, before this time; now if left out.")
@click.option(
    "--public-key",
    metavar="REFERENCE",
    default="env:LANGFUSE_PUBLIC_KEY",
    show_default=True,
    help="Where Langfuse's public key is: env:NAME or file:/PATH.",
)
@click.option(
    "--secret-key",
    metavar="REFERENCE",
    default="env:LANGFUSE_SECRET_KEY",
    show_default=True,
    help="Where Langfuse's secret key is.",
)
@json_option
@pass_session
def command(
    session: Session,
    /,
    *,
    sources: Sequence[str],
    form: str | None,
    dialect: str | None,
    again: bool,
    rejects: Path | None,
    url: str | None,
    as_json: bool,
    **server: str | None,
) -> None:
    """Read interactions in, sanitized.

    SOURCE is a file of JSONL, CSV, Parquet or OTLP-JSON, plain or gzipped; - is standard input; langfuse,
    with --url, is a Langfuse server. Personal data and secrets are replaced before anything is stored, and
    what cannot be sanitized is refused. What was read twice counts once. An import that was ended goes on
    where it was when it is called again.
    """
    from inchworm.app.loop.intake import Drain

    _check(sources, dialect, url)
    asked = _Asked(form=form, dialect=dialect, again=again, quiet=as_json)
    done: list[dict[str, Any]] = []
    with ExitStack() as open_, session.house() as house:
        refusals = None if rejects is None else _refusals(open_, rejects)
        drain = Drain(house)
        for source in sources:
            if source == _LANGFUSE and url is not None:
                from inchworm.app.cli.intake_langfuse import take

                done.append(take(house, drain, url, server, anew=again, quiet=as_json, refusals=refusals))
            else:
                done.append(_file(house, drain, Path(source), asked, refusals))
    if as_json:
        emit({"app": str(house.app), "files": done})
    else:
        for position, one in enumerate(done):
            say(*[""][: position > 0], *lines_of(one))
        if any(one["new"] for one in done):
            say("", "Next: inchworm label")
    if any(one["lines"] and not one["accepted"] and not one["known"] for one in done):
        note("error: nothing could be read; see the reasons above")
        end(2)


def _check(sources: Sequence[str], dialect: str | None, url: str | None) -> None:
    from inchworm.capture import DIALECTS

    if dialect is not None and dialect not in DIALECTS:
        raise InputError(
            f'there is no dialect "{printable(dialect)}"', hint=f"known are: {', '.join(DIALECTS)}"
        )
    if url is not None and _LANGFUSE not in sources:
        raise UsageError(
            "--url is of a server, and none is named", hint=f"inchworm import langfuse --url {url}"
        )
    for source in sources:
        file = Path(source)
        if source == _STDIN or (source == _LANGFUSE and url is not None):
            continue
        if file.is_dir():
            raise InputError(
                f"{file} is a folder", hint=f"name the files in it: inchworm import {file}/*.jsonl"
            )
        if not file.exists():
            hint = "of a server: inchworm import langfuse --url https://…" if source == _LANGFUSE else None
            raise InputError(f"there is no file {file}", hint=hint)


def _refusals(open_: ExitStack, path: Path) -> Refusals:
    """Writes what is not stored to a file, as it comes."""
    file = open_.enter_context(path.open("w", encoding="utf-8"))

    def write(line: int, reason: str) -> None:
        file.write(json.dumps({"line": line, "reason": reason}, ensure_ascii=False) + "\n")

    return write


def _file(house: House, drain: Drain, file: Path, asked: _Asked, refusals: Refusals | None) -> dict[str, Any]:
    """One file read in: what became of its lines."""
    from inchworm.app.loop import importing
    from inchworm.capture.files import Form

    form = None if asked.form is None else Form(asked.form)

    def take(stream: BinaryIO | IO[bytes], name: str, digest: str | None, size: int | None) -> dict[str, Any]:
        with _watched(name, size, resumable=digest is not None, quiet=asked.quiet) as watch:
            return importing.take(
                house,
                drain,
                stream,
                name,
                form=form,
                dialect=asked.dialect,
                digest=digest,
                anew=asked.again,
                watch=watch,
                refusals=refusals,
            )

    if str(file) == _STDIN:
        if form is Form.PARQUET:
            # Without a name: what is raw in it is gone however this process ends.
            with tempfile.TemporaryFile(dir=house.spec.data) as held:
                while block := sys.stdin.buffer.read(_BLOCK):
                    held.write(block)
                held.seek(0)
                return take(held, "standard input", None, None)
        return take(sys.stdin.buffer, "standard input", None, None)
    digest = hashlib.sha256()
    with file.open("rb") as whole:
        while block := whole.read(_BLOCK):
            digest.update(block)
    before = None if asked.again else importing.known(house, str(file), digest.hexdigest())
    if before is not None:
        return before
    with file.open("rb") as opened:
        return take(opened, str(file), digest.hexdigest(), file.stat().st_size)


@contextmanager
def _watched(name: str, size: int | None, *, resumable: bool, quiet: bool) -> Iterator[Watch]:
    """Shows how far an import is; says where it stands if it is interrupted."""
    last: Stood | None = None
    with Bar(printable(Path(name).name), silent=quiet) as bar:

        def watch(stood: Stood) -> None:
            nonlocal last
            last = stood
            said = f"{stood.new:,} new, {stood.duplicate:,} known, {stood.refused:,} refused"
            bar(stood.lines, "lines", done=stood.taken, total=size, said=said)

        try:
            yield watch
        except KeyboardInterrupt:
            if last is not None and resumable:
                note(f"stored up to line {last.stored:,}; the same command goes on from there")
            raise
