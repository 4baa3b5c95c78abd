"""``inchworm traces export``: interactions as a file, streamed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Unpack

import click

from inchworm.app import filters
from inchworm.app.cli.output import emit, note
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.cli.traces_filters import filter_options
from inchworm.app.filters import Said
from inchworm.domain.errors import UsageError
from inchworm.domain.wording import counted

if TYPE_CHECKING:
    from inchworm.app.loop.exporting import Exporting

_FORMATS = ("jsonl", "openai-chat", "csv", "parquet", "otlp-json", "langfuse")


@click.command("export")
@filter_options
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="jsonl",
    show_default=True,
    help="How it is written.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file; standard output if left out.",
)
@json_option
@pass_session
def export(
    session: Session, /, *, form: str, output: Path | None, as_json: bool, **said: Unpack[Said]
) -> None:
    """Write interactions as a file, oldest first, as the importer reads them.

    With jsonl, what is exported and imported again is the same to the last digit. What another format has no
    words for is left out, and said.
    """
    from inchworm.app.loop.exporting import Exporting

    if as_json and output is None:
        raise UsageError(
            "--json says what was written, and the file itself goes to standard output", hint="-o FILE"
        )
    with session.house() as house:
        exporting = Exporting(house, filters.made(house, **said), form)
        if output is None:
            _write(exporting, sys.stdout.buffer)
        else:
            beside = output.with_name(f"{output.name}.part")
            try:
                with beside.open("wb") as file:
                    _write(exporting, file)
                beside.replace(output)
            finally:
                beside.unlink(missing_ok=True)
    left = {what: number for what, number in exporting.left.most_common() if number}
    if as_json:
        emit({"format": form, "file": str(output), "traces": exporting.count, "left_out": left})
        return
    to = "" if output is None else f" to {output}"
    note(f"{counted(exporting.count, 'interaction')} written{to}")
    note(*(f"left out of {number:,}: {what}" for what, number in left.items()))


def _write(pieces: Exporting, file: IO[bytes]) -> None:
    for piece in pieces:
        file.write(piece)
