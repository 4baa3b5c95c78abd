"""``inchworm doctor``: what is wrong, and the command that mends it."""

from __future__ import annotations

import click

from inchworm.app.cli.groups import end
from inchworm.app.cli.output import emit, say, table
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line

_MARKS = {"ok": "ok", "note": "note", "warning": "WARNING", "problem": "PROBLEM"}


@click.command("doctor")
@click.option("--offline", is_flag=True, help="Do not try to reach the provider.")
@json_option
@pass_session
def command(session: Session, *, offline: bool, as_json: bool) -> None:
    """Say what is wrong here, and what mends it.

    Looks at the file, the data directory, the server and its gateways, the provider (without sending a key),
    what waits in the spool, what is stored and what waits for a person. Changes nothing, and works whether a
    server runs or not. The exit code is 1 if there is a problem; warnings and notes leave it at 0.
    """
    from inchworm.app.doctor.examine import examine
    from inchworm.app.doctor.findings import Level

    report = examine(session.file, offline=offline)
    if as_json:
        emit(report.plain())
    else:
        rows: list[list[str]] = []
        for one in report.findings:
            rows.append([_MARKS[one.level.value], one.part, one_line(one.said)])
            if one.command is not None:
                rows.append(["", "", f"→ {one_line(one.command)}"])
        problems, warnings = report.count(Level.PROBLEM), report.count(Level.WARNING)
        say(*table(rows, indent=0), "", _summary(problems, warnings))
    if report.worst is Level.PROBLEM:
        end(1)


def _summary(problems: int, warnings: int) -> str:
    from inchworm.domain.wording import counted

    if not problems and not warnings:
        return "All is well."
    return f"{counted(problems, 'problem')}, {counted(warnings, 'warning')}."
