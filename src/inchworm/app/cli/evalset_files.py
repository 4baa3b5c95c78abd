"""``inchworm evalset import`` and ``export``: cases of other tools' files, and to them."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click

from inchworm.app.cli.groups import end
from inchworm.app.cli.output import emit, note, paragraph, say, table
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.names import eval_set
from inchworm.app.texts import one_line, printable
from inchworm.domain.errors import InputError, UsageError
from inchworm.domain.wording import counted

_FORMATS = ("jsonl", "csv", "parquet", "promptfoo", "inspect", "deepeval")


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="Whose; told by the file's name and records if left out.",
)
@click.option("--name", metavar="NAME", help="What to call the eval set; as the file, if left out.")
@json_option
@pass_session
def import_(session: Session, *, file: Path, form: str | None, name: str | None, as_json: bool) -> None:
    """Make a version of an eval set of a FILE of cases, sanitized.

    Reads promptfoo's test cases, Inspect's samples, DeepEval's goldens, our own cases, and chat logs or rows
    of questions, whose answers are taken as references where no other is said.
    """
    from inchworm.app.loop.casing import import_cases

    if name is not None and ("@" in name or not name.strip()):
        raise UsageError(f'"{name}" cannot be the name of an eval set: versions are counted for you')
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    with session.house() as house, file.open("rb") as opened:
        read = import_cases(house, opened, str(file), form=form, called=name)
    made = read.eval_set
    if as_json:
        emit(
            {
                "eval_set": None if made is None else made.id,
                "made": read.made,
                "format": read.form,
                "records": read.records,
                "cases": 0 if made is None else len(made.cases),
                "repeated": read.repeated,
                "rejected": read.rejected,
                "first_rejected": read.first_rejected,
                "not_carried_over": dict(read.said.most_common()),
                "found": dict(read.found.most_common()),
            }
        )
    else:
        say(f"{printable(str(file))}: {counted(read.records, 'record')}, {read.form or 'nothing to read'}")
        if made is not None:
            what = "made" if read.made else "has these cases already; nothing was made"
            say(f"{one_line(made.id)}: {counted(len(made.cases), 'case')}, {what}.")
        if read.repeated:
            say(f"{read.repeated:,} say a case that is there already: it weighs more.")
        if read.found:
            kinds = ", ".join(f"{kind} {number:,}" for kind, number in read.found.most_common())
            say(*paragraph(f"Replaced: {kinds}."))
        say(*_unsaid(read.said))
        if read.rejected:
            say(f"Rejected: {read.rejected:,}")
            rows = [[f"{bad['line']:,}", printable(bad["reason"])] for bad in read.first_rejected]
            say(*table(rows, right={0}))
        if made is not None and read.made:
            say("", f"Next: inchworm benchmark stable declared --evalset {one_line(made.id)}")
    if made is None:
        note("error: there is no case in it; see the reasons above")
        end(2)


@click.command("export")
@click.argument("name", default="main")
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), default="jsonl", show_default=True, help="Whose."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file; its ending says how it is packed. Standard output if left out.",
)
@json_option
@pass_session
def export(session: Session, *, name: str, form: str, output: Path | None, as_json: bool) -> None:
    """Write NAME, or NAME@VERSION, in another tool's format. Forgotten cases are left out."""
    from inchworm.app.loop.casing import export_cases

    if as_json and output is None:
        raise UsageError(
            "--json says what was written, and the file itself goes to standard output", hint="-o FILE"
        )
    with session.house() as house:
        found = eval_set(house, name)
    written = export_cases(found, form=form, name=None if output is None else str(output))
    if output is None:
        for piece in written.data:
            sys.stdout.buffer.write(piece)
    else:
        with output.open("wb") as file:
            file.writelines(written.data)
    said: dict[str, Any] = {
        "eval_set": found.id,
        "format": form,
        "container": written.container,
        "cases": written.cases,
        "forgotten": written.forgotten,
        "not_carried_over": dict(written.said.most_common()),
    }
    if as_json:
        emit({**said, "file": str(output)})
        return
    to = "" if output is None else f" to {output}"
    note(f"{found.id}: {counted(written.cases, 'case')} written{to} as {form}")
    if written.forgotten:
        note(f"{counted(written.forgotten, 'case')} left out: forgotten")
    note(*_unsaid(written.said))


def _unsaid(said: Counter[str]) -> list[str]:
    rows = [[f"{number:,}", printable(what)] for what, number in said.most_common() if number]
    return ["Not carried over as it is meant:", *table(rows, right={0})] if rows else []
