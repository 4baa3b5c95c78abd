"""The numbers of rows, in the order of arrival; none is given twice, even if its row was deleted."""

from __future__ import annotations

from inchworm.store.traces.database import Run

COUNTED = (("traces", "number"), ("scores", "sequence"), ("spans", "number"))
"""Tables with their numbers."""


def next_number(run: Run, name: str, column: str) -> int:
    """The next free number; one connection writes, so nobody else takes it."""
    ((last,),) = run.rows(
        f"SELECT greatest(coalesce((SELECT max({column}) FROM {name}), 0), "  # noqa: S608  # our own names
        "coalesce((SELECT max(last) FROM high_water WHERE name = ?), 0))",
        [name],
    )
    return int(last) + 1


def keep(run: Run) -> None:
    """Remember which numbers are taken; to be called in the transaction that deletes rows, before it does."""
    taken = [(name, next_number(run, name, column) - 1) for name, column in COUNTED]
    run("DELETE FROM high_water")
    for name, last in taken:
        run("INSERT INTO high_water VALUES (?, ?)", [name, last])
