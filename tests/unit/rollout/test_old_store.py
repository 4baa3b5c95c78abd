"""A control store of the version before approvals and the audit chain, with a rollout in every state.

Its decisions replay, its audit trail is whole, and whatever was under way goes on.
"""

import gzip
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.rollout.world import HOUR, Traffic, Verdicts

from inchworm.domain.configuration import AppRef
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.rollout.commands import act
from inchworm.rollout.controller import tick, verify_served
from inchworm.rollout.decide import replay
from inchworm.rollout.fleet import Memo
from inchworm.rollout.transitions import Act
from inchworm.store.control import ControlStore

OLD = Path(__file__).parent / "control_0003.sql.gz"
"""One app per state, named after it, and ``held-late``, which was held at its deadline."""
LATER = 1_000 * HOUR


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ControlStore]:
    path = tmp_path / "control.sqlite3"
    with sqlite3.connect(path) as raw:
        raw.executescript(gzip.decompress(OLD.read_bytes()).decode())
    raw.close()
    with ControlStore.open(path) as opened:
        yield opened


def of(store: ControlStore, name: str) -> Rollout:
    (found,) = store.rollouts(AppRef(app=name, environment="production"))
    return found


def test_every_state_is_there_and_every_decision_replays_to_the_bit(store: ControlStore) -> None:
    rollouts = store.rollouts()
    assert {one.state for one in rollouts} == set(RolloutState)
    decisions = [decision for one in rollouts for decision in store.decisions(one.id)]
    assert len(decisions) > 30
    assert [one.id for one in decisions if replay(one) != one] == []
    assert [verify_served(store, one.app) for one in rollouts] == [()] * len(rollouts)
    assert store.verify_audit().breaks == ()


def test_what_was_under_way_goes_on(store: ControlStore) -> None:
    before = {one.id: one for one in store.rollouts()}
    nobody = Traffic(store, {"answered": (0.9, 0.9)})  # type: ignore[arg-type]  # nothing arrives in it
    made = {one.rollout_id: one for one in tick(store, nobody, Verdicts(), LATER, memo=Memo())}
    after = {before[name].app.app: (one.kind.value, one.state.value) for name, one in made.items()}
    assert after == {
        "queued": ("start", "benchmarking"),
        "benchmarking": ("expose", "exposing"),
        "holding": ("expose", "exposing"),  # its benchmark was inconclusive, and is a pass here
        "exposing": ("hold", "holding"),
        "soaking": ("hold", "holding"),  # nothing was measured in it
    }
    assert [verify_served(store, one.app) for one in store.rollouts()] == [()] * len(before)
    assert [one for one in made.values() if replay(one) != one] == []
    assert store.verify_audit().breaks == ()


@pytest.mark.parametrize(
    ("name", "wish", "state"),
    [
        ("paused", Act.RESUME, RolloutState.EXPOSING),
        ("holding", Act.PROMOTE, RolloutState.EXPOSING),
        ("held-late", Act.PAUSE, RolloutState.PAUSED),
        ("completed", Act.UNDO, RolloutState.UNDONE),
        ("queued", Act.ABORT, RolloutState.CANCELLED),
    ],
)
def test_people_may_ask_of_it_what_they_could(
    store: ControlStore, name: str, wish: Act, state: RolloutState
) -> None:
    done = act(store, of(store, name).id, wish, actor="kim", reason="", now=LATER).decision
    assert of(store, name).state is state
    assert replay(done) == done
