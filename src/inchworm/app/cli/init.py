"""``inchworm init``: a first file, from what is seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from inchworm.app.cli.output import Progress, emit, note, say
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import ConfigError, NotFoundError, UsageError
from inchworm.domain.wording import counted

if TYPE_CHECKING:
    from inchworm.domain.trace import Trace


@click.command("init")
@click.option("--app", metavar="NAME", help="Name of the app, NAME/ENVIRONMENT; this folder's if left out.")
@click.option(
    "--from",
    "source",
    metavar="FILE.jsonl",
    type=click.Path(path_type=Path),
    help="Look at the interactions in this file; at the stored ones if left out. It is not imported.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@json_option
@pass_session
def command(session: Session, *, app: str | None, source: Path | None, force: bool, as_json: bool) -> None:
    """Write a first inchworm.yaml from what is seen.

    It says beside each value where it comes from, and proposes metrics that need no labels. The JSON Schema
    for editors goes to .inchworm/schema.json.
    """
    from inchworm.app.config.load import load
    from inchworm.app.config.schema import DEFAULT_DATA
    from inchworm.app.config.write import draft, write_schema
    from inchworm.app.loop.surveying import survey

    file = session.file
    if file.exists() and not force:
        raise UsageError(
            f"{file} is there already", hint=f"to write it anew: inchworm -f {file} init --force"
        )
    name = AppRef.parse(app) if app else _named(file)
    traces = _stored(name, file.parent / DEFAULT_DATA) if source is None else _recorded(name, source)
    seen = survey(name, traces)
    if source is not None and seen.traces == 0:
        raise UsageError(f"{source} holds no interaction that can be read", hint="see why: inchworm import")
    if not file.parent.is_dir():
        raise NotFoundError(f"there is no folder {file.parent}", hint=f"make it: mkdir -p {file.parent}")
    file.write_text(draft(seen), "utf-8")
    schema = write_schema(file.parent / DEFAULT_DATA)
    spec = load(file)
    following = (
        ["inchworm label"]
        if source is None and seen.traces
        else [f"inchworm import {source or 'FILE.jsonl'}"]
    )
    if as_json:
        emit(
            {
                "file": str(file),
                "schema": str(schema),
                "app": str(name),
                "traces": seen.traces,
                "metrics": [metric.name for metric in spec.metrics],
                "next": following[0],
            }
        )
        return
    say(
        f"{file} is written for {one_line(str(name))}, from {counted(seen.traces, 'interaction')}.",
        f"Metrics proposed: {', '.join(metric.name for metric in spec.metrics)}. Look through it, then:",
        f"  {following[0]}",
    )


def _named(file: Path) -> AppRef:
    """The app of the file that is overwritten, else one by the name of its folder."""
    from inchworm.app.config.load import load

    if file.exists():
        try:
            return load(file).app
        except ConfigError:
            pass  # that is why it is written anew
    folder = file.resolve().parent.name
    return AppRef.parse("".join(char if char.isalnum() or char in "-_." else "-" for char in folder) or "app")


def _recorded(app: AppRef, source: Path) -> Iterator[Trace]:
    """The interactions of a file; nothing of them is kept."""
    from inchworm.capture import Rejected, read

    progress, rejected = Progress("read"), 0
    reading = read(source, app=app, default_at=0.0)
    for item in reading:
        progress(reading.tally.lines)
        if isinstance(item, Rejected):
            rejected += 1
        else:
            yield item
    progress.clear()
    if rejected:
        note(f"{counted(rejected, 'line')} of {source} could not be read; inchworm import says why.")


def _stored(app: AppRef, data: Path) -> Iterator[Trace]:
    from inchworm.app.house import TRACES
    from inchworm.store.traces import TraceStore

    if not (data / TRACES).exists():
        return
    with TraceStore.open(data / TRACES) as traces:
        for batch in traces.iterate(app):
            yield from batch
