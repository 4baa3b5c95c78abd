"""What the tests of this folder run in processes of their own: ``python worker.py WHAT FILE ...``.

A worker says a line when it has done something, and waits for a line where it is told to.
"""

import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

from tests.unit.store.values import (
    APP,
    after,
    assigned,
    decision,
    entry,
    exposure,
    lineage,
    score,
    served,
    work,
)

from inchworm.domain.ids import RolloutId
from inchworm.domain.rollout import DecisionKind, RolloutState
from inchworm.domain.span import Span
from inchworm.domain.trace import Trace
from inchworm.store.control import ControlStore
from inchworm.store.traces import TraceStore

BATCH = 50


def say(*words: object) -> None:
    """One line to whoever started us."""
    print(*words, flush=True)  # noqa: T201  # that is how a worker speaks


def race(path: Path, number: int) -> None:
    """Open the file, which nobody may have made yet; then, at each line of input, try one START.

    A line says which rollout, and whether the lineage is to move with it.
    """
    with ControlStore.open(path) as store:
        say("ready", number)
        for line in sys.stdin:
            rollout_id, moves = line.split()
            # As it was queued, also for who comes late: all decide on the same generation.
            on = replace(store.rollout(RolloutId(rollout_id)), generation=0)
            taken = decision(on, DecisionKind.START, RolloutState.BENCHMARKING)
            if moves == "alone":
                say(store.commit(taken, after(on, taken)))
            else:
                here = lineage(on.app, generation=2, in_flight=on.id)
                say(store.commit(taken, after(on, taken), lineage=here, expected_lineage=1))


def decide(path: Path) -> None:
    """Take one decision after the other on ``r-1``: start it, end it, start it again."""
    with ControlStore.open(path) as store:
        while True:
            on = store.rollout(RolloutId("r-1"))
            here = store.lineage(APP)
            assert here is not None
            free = here.in_flight is None
            state = RolloutState.EXPOSING if free else RolloutState.QUEUED
            taken = decision(on, DecisionKind.EXPOSE, state)
            landed = store.commit(
                taken,
                after(on, taken),
                lineage=replace(here, generation=here.generation + 1, in_flight=on.id if free else None),
                expected_lineage=here.generation,
                serving=served(generation=here.generation + 1),
                ledger=[entry(what=taken.id)],
                work=[work(taken.id)],
            )
            assert landed
            say(taken.parent + 1)


def record(path: Path) -> None:
    """Store exposures, then their traces, batch after batch, from where the file ends."""
    with TraceStore.open(path) as store:
        last = store.last_order(RolloutId("r-1"))
        start = 0 if last is None else last + 1
        while True:
            numbers = range(start, start + BATCH)
            store.add_exposures([exposure(number) for number in numbers])
            say("exposures", numbers.stop)
            store.add_traces([assigned(number, scores=(score(),)) for number in numbers])
            say("traces", numbers.stop)
            start = numbers.stop


def tell(path: Path) -> None:
    """Store spans, then their traces, then both told anew, batch after batch."""
    with TraceStore.open(path) as store:
        # The last batch once more: the second telling of it may be missing.
        for start in count(max(0, store.count(APP) // BATCH - 1) * BATCH, BATCH):
            numbers = range(start, start + BATCH)
            for version in (1, 2):
                store.put_spans([reported(number, version) for number in numbers])
                say("spans", version, numbers.stop)
                store.put_traces([folded(number, version) for number in numbers])
                say("traces", version, numbers.stop)


def reported(number: int, version: int) -> Span:
    """What is told of a span the first and the second time."""
    return Span(
        app=APP,
        trace_id=assigned(number).id,
        id="s",
        output=f"version {version}",
        attributes={f"told {version}": True},
        revision=float(version),
    )


def folded(number: int, version: int) -> Trace:
    """What its trace is by then."""
    return assigned(number, output=f"version {version}", at=version * 10_000.0, scores=(score(),))


def hold(path: Path) -> None:
    """Own the trace store until there is a line of input."""
    with TraceStore.open(path):
        say("ready")
        sys.stdin.readline()


def main(what: str, path: str, *rest: str) -> None:
    """Do what the command line says."""
    if what == "race":
        race(Path(path), int(rest[0]))
    else:
        {"decide": decide, "record": record, "tell": tell, "hold": hold}[what](Path(path))


if __name__ == "__main__":
    main(*sys.argv[1:])
