"""Somebody is forgotten: no byte of the data directory tells of them, and everybody else is as before."""

import asyncio
import json
import secrets
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from tests.unit.app.loop.spooled import arm, called, exposed, rated, root, traced
from tests.unit.app.loop.world import NOW, World, assigned

from inchworm.app.clock import SimulatedClock
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop import topics
from inchworm.app.loop.draining import Draining
from inchworm.app.loop.forgetting import Forgetter, ask, digest_of
from inchworm.app.loop.measuring import build_eval_set, compare, keep_eval_set
from inchworm.capture.keyfile import KEY as KEY_FILE
from inchworm.capture.keyfile import master_key
from inchworm.capture.records import Rated, decode, encode
from inchworm.capture.spool import (
    Spool,
    closed_segments,
    quarantine_records,
    quarantined,
    read_segment,
    set_aside_segments,
)
from inchworm.domain.attribution import Proposal
from inchworm.domain.benchmark import Trial
from inchworm.domain.errors import ConflictError, InputError, StoreError, UsageError
from inchworm.domain.evalset import Case
from inchworm.domain.forgetting import NOBODY, Forgetting, ForgettingState
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.outcome import Ok
from inchworm.domain.trace import Arm
from inchworm.gateway.sessions import Sessions

R1 = RolloutId("r-1")


def word() -> str:
    """A word that nobody else says: of letters, so that the sanitizer passes it, and too odd to compress."""
    return "q" + "".join(secrets.choice("bdfgklmnprstvz") + secrets.choice("aeiou") for _ in range(9))


@dataclass(slots=True)
class Person:
    """Everything by which somebody could be found."""

    unit: str
    words: dict[str, str]

    @property
    def every(self) -> dict[str, str]:
        return {"unit": self.unit, **self.words}


@dataclass(slots=True)
class Place:
    """A data directory with everything in it that can tell of somebody."""

    world: World
    ana: Person
    bob: Person

    @property
    def data(self) -> Path:
        return self.world.house.spec.data

    def spool(self, *records: object, at: float = NOW) -> None:
        asyncio.run(written(root(self.world) / "gateway", key_of(self.world), records, at))

    def draining(self) -> Draining:
        return Draining(self.world.house, key_of(self.world))

    def drain(self) -> None:
        draining = self.draining()
        draining.round()
        draining.close()

    def forget(self, *units: str) -> Forgetting:
        asked = ask(self.world.house, units)
        self.work_off()
        return self.world.house.control.forgetting(asked.id)

    def work_off(self, pause=lambda _: None):
        draining = self.draining()
        draining.round()
        try:
            forgetter = Forgetter(
                self.world.house, renew=draining.renew, waiting=draining.waiting, pause=pause
            )
            return forgetter.round()
        finally:
            draining.close()

    def where(self, text: str) -> set[str]:
        """The files that hold a text, also where it is sealed or compressed."""
        found = set()
        for path in self.data.rglob("*"):
            if path.is_file() and any(text.encode() in form for form in self._forms(path)):
                found.add(path.name if path.parent.name != "quarantine" else "quarantine")
        return found

    def _forms(self, path: Path) -> Iterator[bytes]:
        data = path.read_bytes()
        yield data
        if path.suffix == ".closed":
            yield from read_segment(path, key_of(self.world)).records
        if path.name == "control.sqlite3":
            control = self.world.house.control
            for kind in ("observed/1", "noticed/1"):
                if state := control.blob(self.world.house.app, kind):
                    yield zlib.decompress(state)


async def written(folder: Path, key: bytes, records, at: float) -> None:
    writer = Spool.open(folder, key, clock=lambda: at, rotate_s=3600.0)
    waits = [writer.add(encode(one)) for one in records]
    await asyncio.gather(*waits)
    await writer.close()


def key_of(world: World) -> bytes:
    return derive(master_key(world.house.spec.data), Purpose.SPOOL)


def person() -> Person:
    kinds = "question answer city source bad line trial attribute".split()
    return Person(unit=f"kunde-{word()}", words={kind: word() for kind in kinds})


def fill(place: Place, who: Person, name: str) -> None:
    """Through the real drain: a gateway's call, a client's line, feedback, and what is refused."""
    request = {
        "model": "tiny",
        "messages": [{"role": "user", "content": f"Where is my {who.words['question']} parcel"}],
    }
    message = {"role": "assistant", "content": who.words["answer"]}
    answer = {"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    first = called(
        name,
        unit=who.unit,
        assigned=arm(which="candidate"),
        request=json.dumps(request).encode(),
        response=json.dumps(answer).encode(),
        attributes={"city": who.words["city"]},
    )
    line = {
        "id": f"l-{name}",
        "unit": who.unit,
        "inputs": {"question": f"Until when is the {who.words['line']} open"},
        "output": f"{who.words['line']} until ten",
        "attributes": {"note": who.words["attribute"]},
    }
    place.spool(
        exposed(name, arm(which="candidate"), unit=who.unit),
        first,
        traced(line),
        rated(name, 0.25, source=f"user {who.words['source']}"),
        replace_struct(first, app="other/production", id=f"x-{name}", attributes={"bad": who.words["bad"]}),
    )
    place.drain()


def replace_struct(record, **changes):
    return msgspec.structs.replace(record, **changes)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> tuple[Path, Person, Person]:
    """A shop that two people left everything in; not to be changed."""
    world = World.build(tmp_path_factory.mktemp("filled") / "shop")
    world.history(120)
    made = Place(world, person(), person())
    fill(made, made.ana, "ana")
    fill(made, made.bob, "bob")
    house = world.house
    topics.fit(house)
    build_eval_set(house, size=200)
    eval_set = house.control.eval_set(house.app, "main")
    for who in (made.ana, made.bob):
        cases = [case for case in eval_set.cases if case.group == who.unit]
        assert len(cases) == 2
        house.control.put_trials([trial_of(case, house, who.words["trial"]) for case in cases])
        proposal = Proposal(
            id=f"proposal-{word()[:6]}",
            app=house.app,
            origin="rollout:r-1",
            because="they failed",
            cases=tuple(case.id for case in cases),
        )
        house.control.put_proposal(proposal, cases, at=NOW)
        sessions = Sessions(made.data / "gateway" / "gateway", derive(master_key(made.data), Purpose.UNIT))
        sessions.keep(UnitId(who.unit), assigned(arm=Arm.CANDIDATE))
        sessions.close()
    # Everything lies in the files themselves, and not in logs beside them.
    house.control.compact()
    house.close()
    return world.folder, made.ana, made.bob


@pytest.fixture
def place(filled, tmp_path) -> Iterator[Place]:
    folder, ana, bob = filled
    shutil.copytree(folder, tmp_path / "shop")
    clock = SimulatedClock(NOW)
    house = House(load(tmp_path / "shop" / "inchworm.yaml"), clock=clock, actor="ana")
    made = Place(World(folder=tmp_path / "shop", house=house, clock=clock), ana, bob)
    yield made
    made.world.house.close()


def trial_of(case: Case, house: House, output: str) -> Trial:
    configuration = house.spec.configuration.id
    return Trial(case_id=case.id, configuration_id=configuration, repetition=0, outcome=Ok(), output=output)


def test_everything_of_somebody_is_found_before_and_nothing_after(place):
    before = {name: place.where(text) for name, text in place.ana.every.items()}
    assert all(before.values()), before
    assert {"traces.duckdb", "control.sqlite3", "quarantine"} <= set().union(*before.values())
    bobs = {name: place.where(text) for name, text in place.bob.every.items()}
    done = place.forget(place.ana.unit)
    assert done.state is ForgettingState.DONE
    assert {name: place.where(text) for name, text in place.ana.every.items()} == {
        name: set() for name in place.ana.every
    }
    place.world.reopen()
    assert {name: place.where(text) for name, text in place.ana.every.items() if place.where(text)} == {}
    assert {name: place.where(text) for name, text in place.bob.every.items()} == bobs
    counts = {name: done.counts[name] for name in ("traces", "cases", "trials", "quarantined", "exposures")}
    assert counts == {"traces": 2, "cases": 2, "trials": 2, "quarantined": 1, "exposures": 1}
    assert done.counts["kept_assignments"] == 1


def test_everybody_else_is_as_before(place):
    house = place.world.house
    others = [one for one in place.world.stored() if one.unit_id != place.ana.unit]
    counts = house.traces.exposures_count(R1)
    decisions = [house.control.decisions(one.id) for one in house.control.rollouts(house.app)]
    place.forget(place.ana.unit)
    house = place.world.house
    assert place.world.stored() == others
    assert house.traces.exposures_count(R1) == counts
    assert [house.control.decisions(one.id) for one in house.control.rollouts(house.app)] == decisions
    bob = UnitId(place.bob.unit)
    assert house.traces.assignments(R1, [bob, UnitId(place.ana.unit)]).keys() == {bob}
    sessions = Sessions(place.data / "gateway" / "gateway", derive(master_key(place.data), Purpose.UNIT))
    assert sessions.kept(R1, bob) is not None
    assert sessions.kept(R1, UnitId(place.ana.unit)) is None
    assert len(quarantined(root(place.world))) == 1


def test_the_audit_trail_verifies_and_says_why_an_eval_set_changed(place):
    done = place.forget(place.ana.unit)
    control, app = place.world.house.control, place.world.house.app
    assert control.verify_audit().breaks == ()
    told = {one.action: one for one in control.audit(app, limit=10)}
    assert done.id in told["evalset.forget"].because
    assert told["unit.forget"].subject == told["unit.forgotten"].subject == done.id
    key = derive(master_key(place.data), Purpose.FORGET)
    assert done.digests == (digest_of(key, place.ana.unit),)
    entries = [one for one in control.ledger(app) if one.kind == "forget"]
    assert entries[0].data["digests"] == list(done.digests)
    assert "2 interactions" in entries[0].what


def test_an_eval_set_says_how_many_cases_are_forgotten_and_goes_without_them(place):
    house = place.world.house
    before = house.control.eval_set(house.app, "main")
    place.forget(place.ana.unit)
    after = house.control.eval_set(house.app, "main")
    assert [case.id for case in after.cases] == [case.id for case in before.cases]
    assert after.gone == 2
    assert after.population.endswith("; 2 cases forgotten")
    assert house.control.eval_sets(house.app)[0].population == after.population
    gone = [case for case in after.cases if case.is_forgotten]
    assert all(case.inputs == {} and case.reference is None and case.origin == NOBODY for case in gone)
    left = after.remaining()
    assert len(left.cases) == len(before.cases) - 2
    for cluster in {case.cluster for case in left.cases}:
        whole = sum(case.weight for case in before.cases if case.cluster == cluster)
        assert sum(case.weight for case in left.cases if case.cluster == cluster) == pytest.approx(whole)


def test_a_case_that_was_read_before_is_kept_empty_when_it_is_written_again(place):
    house = place.world.house
    before = house.control.eval_set(house.app, "main")
    place.forget(place.ana.unit)
    keep_eval_set(house, replace(before, version=2), "kept by somebody who read it before")
    assert house.control.eval_set(house.app, "main").gone == 2
    mine = next(case for case in before.cases if case.group == place.ana.unit)
    trial = trial_of(mine, house, "so")
    house.control.put_trials([trial])
    assert house.control.trials([mine.id], [house.spec.configuration.id]) == {}
    # Somebody else says the same later: that is a case of its own.
    theirs = replace(mine, origin="trace:another", group="another")
    keep_eval_set(house, replace(before, version=3, cases=(theirs,)), "drawn anew")
    house.control.put_trials([trial])
    assert len(house.control.trials([mine.id], [house.spec.configuration.id])) == 1
    with pytest.raises(ConflictError):
        house.control.put_eval_set(replace(before, version=3), at=NOW)


@pytest.mark.parametrize("state", list(ForgettingState)[1:])
def test_interrupted_behind_any_step_it_goes_on_from_there(place, state):
    class KilledError(Exception):
        """The process ends."""

    def kill(now):
        if now.state is state:
            raise KilledError

    ask(place.world.house, [place.ana.unit])
    with pytest.raises(KilledError):
        place.work_off(kill)
    place.world.reopen()
    place.work_off()
    (done,) = place.world.house.control.forgettings()
    assert done.state is ForgettingState.DONE
    assert {name for name, text in place.ana.every.items() if place.where(text)} == set()


def test_several_units_are_forgotten_at_once(place):
    done = place.forget(place.ana.unit, place.bob.unit)
    assert done.counts["traces"] == 4
    every = {**place.ana.every, **{f"bob {name}": text for name, text in place.bob.every.items()}}
    assert {name for name, text in every.items() if place.where(text)} == set()


def test_a_unit_is_found_by_what_it_was_called_and_by_what_it_is_stored_as(world):
    place = Place(world, person(), person())
    email = f"{word()}@mailhost.net"
    stored = world.house.pseudonym(UnitId(email))
    for given in (email, stored):
        place.spool(called("1", unit=email), called("2", unit="else"))
        place.drain()
        done = place.forget(given)
        assert done.counts["traces"] == 1
        assert [one.unit_id for one in world.stored()] == ["else"]


@pytest.mark.parametrize(
    "named", [f"{word()}@mailhost.net", "4711", 'kunde "4711"'], ids=["mail", "number", "quoted"]
)
def test_a_user_is_found_in_what_calls_and_lines_say_beside_their_units(world, named):
    place = Place(world, person(), person())
    said = int(named) if named.isdigit() else named
    lines = [
        {"id": f"l-{n}", "unit": f"s-{n}", "inputs": {"q": "Where?"}, "output": "Here.", "attributes": each}
        for n, each in enumerate(
            [{"user_id": said}, {"x": 1, "user.id": said}, {"user.id": "47"}, {"at": said}, {"user.id": 471}]
        )
    ]
    request = {"model": "tiny", "user": named, "messages": [{"role": "user", "content": "Where?"}]}
    asked = called("1", unit="s-9", request=json.dumps(request).encode(), attributes={"user.id": named})
    place.spool(asked, *map(traced, lines))
    place.drain()
    done = place.forget(named)
    assert done.counts["traces"] == 3
    assert sorted(one.id for one in world.stored()) == ["l-2", "l-3", "l-4"]


def test_who_is_named_deep_inside_is_found_and_others_are_not(world):
    place = Place(world, person(), person())
    deep = [
        {"customer": {"user_id": "kunde-4711"}},
        {"customers": [{"user.id": "kunde-4711"}]},
        {"customer": {"user_id": "kunde-47111"}},
        {"note": "user_id kunde-4711"},
    ]
    lines = [
        {"id": f"l-{n}", "unit": f"s-{n}", "inputs": {"q": "?"}, "output": "!", "attributes": each}
        for n, each in enumerate(deep)
    ]
    place.spool(*map(traced, lines))
    place.drain()
    assert place.forget("kunde-4711").counts["traces"] == 2
    assert sorted(one.id for one in world.stored()) == ["l-2", "l-3"]


def test_what_a_gateway_still_writes_is_waited_for(world):
    place = Place(world, person(), person())
    place.spool(called("1", unit="ana"), at=NOW - 1)
    (path,) = closed_segments(root(world))
    being_written = path.rename(path.with_suffix(".open"))
    asked = ask(world.house, ["ana"])
    draining = place.draining()
    forgetter = Forgetter(world.house, renew=draining.renew, waiting=draining.waiting)
    # Nobody holds the folder, so that it would be adopted: only the forgetter looks here.
    assert forgetter.round() == []
    assert world.house.control.forgetting(asked.id).state is ForgettingState.ASKED
    being_written.rename(path)
    draining.round()
    (done,) = forgetter.round()
    assert done.counts["traces"] == 1
    draining.close()


def test_after_a_while_it_goes_on_without_and_says_so(world):
    place = Place(world, person(), person())
    place.spool(called("1", unit="ana"), at=NOW - 1)
    ask(world.house, ["ana"])
    world.clock.at += 31
    draining = place.draining()
    (done,) = Forgetter(world.house, renew=draining.renew, waiting=draining.waiting).round()
    draining.close()
    assert "1 segment of the spool" in done.remarks[0]


def test_feedback_that_waits_is_forgotten_with_its_unit(world):
    place = Place(world, person(), person())
    place.spool(called("1", unit="ana"), rated("1"), rated("unknown", 0.5, source=f"kunde {place.ana.unit}"))
    draining = place.draining()
    draining.round()
    assert len(set_aside_segments(root(world))) == 1
    ask(world.house, ["ana"])
    world.clock.at += 1
    Forgetter(world.house, renew=draining.renew, waiting=draining.waiting).round()
    (path,) = set_aside_segments(root(world))
    (kept,) = [decode(record) for record in read_segment(path, key_of(world)).records]
    assert isinstance(kept, Rated)
    assert kept.trace == "t-unknown"
    draining.close()


def test_what_comes_after_the_request_is_new_and_stays(world):
    place = Place(world, person(), person())
    place.spool(called("1", unit="ana"))
    draining = place.draining()
    draining.round()
    ask(world.house, ["ana"])
    place.spool(called("2", unit="ana"), rated("2", 0.5), at=NOW + 1)
    world.clock.at += 2
    Forgetter(world.house, renew=draining.renew, waiting=draining.waiting).round()
    draining.round()
    assert [one.id for one in world.stored()] == ["t-2"]
    draining.close()


def test_a_reason_that_somebody_typed_is_told_and_stays(world):
    place = Place(world, person(), person())
    keep = Proposal(id="proposal-1", app=world.house.app, origin="x", because="ana-4711 complained", cases=())
    world.house.control.put_proposal(keep, [], at=NOW)
    done = place.forget("ana-4711")
    assert done.remarks == ("Rows that people wrote hold the id, and were left: proposals (1).",)


def test_forgotten_cases_are_no_part_of_a_benchmark(place):
    house = place.world.house
    place.forget(place.ana.unit)
    eval_set = house.control.eval_set(house.app, "main")
    wanted = place.world.reachable()[1]
    cases = [case for case in eval_set.cases if case.origin.startswith("trace:t-h-")]
    gone = [case for case in eval_set.cases if case.is_forgotten]
    asked = replace(eval_set, cases=(*cases, *gone))
    found = compare(house, house.spec.configuration, wanted, eval_set=asked)
    assert found.trials == 2 * len(cases)


def test_what_a_killed_process_left_half_written_goes_too(world):
    place = Place(world, person(), person())
    place.spool(called("1", unit="ana-4711", app="other/production"))
    place.drain()
    (kept,) = quarantined(root(world))
    # Killed while it was written: sealed as a whole, and not there under its name yet.
    left = kept.path.with_name(f"{kept.path.name}.part")
    shutil.copy(kept.path, left)
    spilled = place.data / "traces.duckdb.tmp"
    world.house.close()
    spilled.mkdir()
    (spilled / "duckdb_temp_storage_S32K-0.tmp").write_bytes(b"rows of a query of a killed process")
    world.reopen()
    place.forget("ana-4711")
    assert not left.exists()
    assert not spilled.exists()


def test_a_note_loses_the_name_and_no_longer_one_that_begins_so(world):
    reason = "It is of kunde-47, not of kunde-471, kunde-47-b or kunde-47."
    quarantine_records(root(world), key_of(world), [encode(called("1", unit="bob"))], reason=reason, at=NOW)
    Place(world, person(), person()).forget("kunde-47")
    (kept,) = quarantined(root(world))
    assert kept.reason == f"It is of {NOBODY}, not of kunde-471, kunde-47-b or {NOBODY}."


def test_a_request_that_was_sealed_with_another_key_is_said_to_be(world):
    place = Place(world, person(), person())
    ask(world.house, ["ana"])
    (place.data / KEY_FILE).write_bytes(bytes(32))
    world.reopen()
    with pytest.raises(StoreError, match="sealed with another key"):
        place.work_off()


def test_whom_to_forget_is_said_by_printable_ids(world):
    with pytest.raises(UsageError):
        ask(world.house, [])
    for wrong in ("", " ", "a\nb"):
        with pytest.raises(InputError):
            ask(world.house, [wrong])


def test_a_case_without_its_words_is_still_a_case():
    id_ = Case.identify({"q": 1}, None)
    one = Case(id=id_, inputs={"q": 1}, origin="trace:t", cluster="c", group="g", weight=3.0)
    assert (one.forgotten().id, one.forgotten().weight, one.forgotten().cluster) == (id_, 3.0, "c")
    assert one.forgotten().origin == NOBODY
