"""The ladder of a rollout: what is behind it, where it stands, what is ahead, and when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from inchworm.app.texts import span
from inchworm.app.web.views import permitted
from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.stages import StageStart, audience, stage_name, stage_starts, things
from inchworm.domain import wording
from inchworm.domain.rollout import RolloutState, Stage
from inchworm.domain.verdict import Verdict
from inchworm.rollout.evidence import Evidence
from inchworm.rollout.evidence.populations import is_shadow
from inchworm.rollout.observed import Subject
from inchworm.rollout.permits import obstacles as not_permitted
from inchworm.rollout.rules import obstacles
from inchworm.rollout.transitions import TERMINAL
from inchworm.stats.passage import Passage, passage

Place = Literal["done", "here", "stopped", "ended", "next"]
_SOON_S = 60.0
_VERDICTS = {
    Verdict.PASS: "passed on",
    Verdict.FAIL: "failed on",
    Verdict.INCONCLUSIVE: "inconclusive on",
    Verdict.NO_DATA: "nothing measured on",
    Verdict.ERRORED: "errored on",
    Verdict.CANCELLED: "cancelled on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One rung.

    Attributes:
        name: ``benchmark``, ``shadow 20 %``, ``5 %``, ``stable``.
        place: behind, here, stopped here by harm, ended here by a person, or ahead.
        lines: what happened there, or what has to.
    """

    name: str
    place: Place
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """All rungs, and what the next one waits for.

    Attributes:
        rungs: from the benchmark, if there is one, to stable.
        opens: when the next rung opens, as a sentence.
        needs: why it does not open yet, as clauses; empty if nothing is in the way, or nothing is asked.
    """

    rungs: tuple[Rung, ...]
    opens: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """When the present stage will be settled, if it goes on as it went; seconds from now.

    Attributes:
        low: the 10 % quantile.
        median: the 50 % quantile; ``None`` where it does not come at this pace.
        high: the 90 % quantile; likewise.
        passed: whether every gate has its evidence already, and only units or time are lacking.
    """

    low: float | None
    median: float | None
    high: float | None
    passed: bool = False


def ladder(seen: Seen) -> Ladder:
    """Where it stands."""
    rollout, policy = seen.rollout, seen.rollout.policy
    here = _here(seen)
    starts = {one.stage: one for one in stage_starts(rollout, seen.decisions)}
    rungs: list[Rung] = []
    if policy.gate:
        rungs.append(_rung("benchmark", -1, here, seen, _gate(seen)))
    for number, stage in enumerate(policy.stages):
        rungs.append(
            _rung(stage_name(rollout, number), number, here, seen, _stage(seen, starts, stage, number, here))
        )
    soak = len(policy.stages)
    rungs.append(_rung(wording.share(1 - policy.holdback), soak, here, seen, _soak(seen, starts, here)))
    last = _permits(seen, soak + 1, here)
    rungs.append(_rung("stable", soak + 1, here, seen, ("100 %, the new baseline", *last)))
    return Ladder(rungs=tuple(rungs), opens=_opens(seen), needs=needs(seen))


def _stage(
    seen: Seen, starts: dict[int, StageStart], stage: Stage, number: int, here: int
) -> tuple[str, ...]:
    """What a stage's rung says."""
    lines: list[str] = []
    if number == here and seen.rollout.state not in TERMINAL:
        lines += _so_far(seen, starts, number)
    elif number > here:
        lines += [
            f"at least {wording.duration(stage.min_bake_s)}",
            f"and {stage.min_units:,} {things(seen.rollout, number)}",
        ]
        if stage.max_calls is not None and is_shadow(seen.rollout.policy, number):
            lines.append(f"at most {stage.max_calls:,} calls")
    else:
        lines += _past(seen, starts, number) or ("passed over",)
    lines.append(f"margins × {stage.margin_factor:g}")
    if stage.audience:
        lines.append(f"only where {audience(stage.audience)}")
    return (*lines, *_permits(seen, number, here))


def _permits(seen: Seen, number: int, here: int) -> tuple[str, ...]:
    """Approvals of a rung, and of the next one the freeze."""
    now_at = permitted.here(seen.rollout)
    lines = [permitted.approval_line(seen, number)]
    if number == max(here, now_at) + 1 or (here < 0 and number == 0):
        lines.append(permitted.freeze_line(seen))
    return tuple(line for line in lines if line)


def _opens(seen: Seen) -> str:
    """What the next rung takes."""
    rollout, stages = seen.rollout, seen.rollout.policy.stages
    if rollout.state in TERMINAL:
        return "One step at a time."
    if rollout.stage < 0 or rollout.state in {RolloutState.QUEUED, RolloutState.BENCHMARKING}:
        gate = "when its benchmark has passed" if rollout.policy.gate else "when its turn comes"
        besides = _besides(seen, 0)
        if rollout.state is RolloutState.HOLDING and besides:
            gate, besides = besides.removeprefix(", and "), ""
        return f"{_capital(stage_name(rollout, 0))} opens {gate}{besides}; then one step at a time."
    if rollout.stage >= len(stages):
        besides = _besides(seen, len(stages) + 1)
        return f"It becomes stable when its soak is over and nothing was harmed{besides}."
    here = stages[rollout.stage]
    above = rollout.stage + 1
    after = stage_name(rollout, above) if above < len(stages) else wording.share(1 - rollout.policy.holdback)
    line, bake = wording.line(rollout.policy.alpha_expand), wording.duration(here.min_bake_s)
    passed = f"every gate has passed {stage_name(rollout, rollout.stage)} with evidence {line}"
    came = f"{here.min_units:,} {things(rollout, rollout.stage)}"
    besides = _besides(seen, above)
    return f"{_capital(after)} opens when {passed}, after at least {bake} and {came} there{besides}."


def _besides(seen: Seen, stage: int) -> str:
    """What a rung asks for besides evidence, as the end of a sentence."""
    said: list[str] = []
    line = permitted.approval_line(seen, stage)
    if line.startswith("needs"):
        said.append(f"with {line.removeprefix('needs ').replace(': ', ' from ')}")
    if seen.permits.frozen is not None and seen.permits.frozen_until is not None:
        said.append(f"after the {permitted.freeze_line(seen)}".replace("until", "ends", 1))
    return f", and {wording.listed(said)}" if said else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def needs(seen: Seen) -> tuple[str, ...]:
    """What keeps it from expanding, as clauses, without guesses of how long."""
    rollout, watched = seen.rollout, seen.watched
    if rollout.state is RolloutState.HOLDING and rollout.stage < 0:
        found = not_permitted(Subject.of(rollout), seen.permits, 0)
        return tuple(permitted.without_command(clause) for clause in found)
    if rollout.state not in {RolloutState.EXPOSING, RolloutState.HOLDING} or watched is None:
        return ()
    if not 0 <= rollout.stage < len(rollout.policy.stages):
        return ()
    found = obstacles(Subject.of(rollout), watched, max(seen.now - rollout.entered_at, 0.0))
    return tuple(permitted.without_command(clause).partition(" (at the pace")[0] for clause in found)


def ahead(seen: Seen) -> Ahead | None:
    """When every gate will have its evidence here; ``None`` while nothing can be said."""
    rollout, evidence = seen.rollout, seen.evidence
    if evidence is None or not 0 <= rollout.stage < len(rollout.policy.stages):
        return None
    points = [point for point in seen.points if point.stage == rollout.stage]
    if len(points) < 2 or points[-1].at <= points[0].at:
        return None
    pace = (points[-1].consumed - points[0].consumed) / (points[-1].at - points[0].at)
    found: list[Passage] = []
    for metric in evidence.asked:
        if metric.log_e_expand >= -math.log(evidence.alpha_expand) and metric.void_at is None:
            found.append(Passage(low=0.0, median=0.0, high=0.0))
            continue
        path = [
            (point.consumed, one.log_e_expand)
            for point in points
            for one in point.metrics
            if one.name == metric.name
        ]
        one = passage([n for n, _ in path], [e for _, e in path], -math.log(evidence.alpha_expand))
        if one is None or metric.void_at is not None:
            return None
        found.append(one)
    if not found or pace <= 0:
        return None
    least = _least(seen, evidence, pace)
    return Ahead(
        low=_slowest([one.low for one in found], pace, least),
        median=_slowest([one.median for one in found], pace, least),
        high=_slowest([one.high for one in found], pace, least),
        passed=all(one.high == 0.0 for one in found),
    )


def said(when: Ahead) -> str:
    """A forecast as a sentence."""
    if when.passed and when.median is not None:
        rest = "at this pace the stage has its units and its time in"
        return f"Every gate has its evidence; {rest} {_about(when.median)}."
    if when.median is None:
        return "At this pace the evidence does not settle it."
    high = "no end at this pace" if when.high is None else _about(when.high)
    low = _about(when.low or 0.0)
    if when.high is not None and when.high < _SOON_S:
        return "At this pace it is settled within a minute."
    return f"At this pace it is settled in about {_about(when.median)} (80 %: {low} … {high})."


def _about(seconds: float) -> str:
    """A duration in whole minutes."""
    return span(seconds) if seconds < _SOON_S else span(round(seconds / _SOON_S) * _SOON_S)


def _slowest(units: Sequence[float | None], pace: float, least: float) -> float | None:
    known = [one for one in units if one is not None]
    return None if len(known) < len(units) else max(max(known) / pace, least)


def _least(seen: Seen, evidence: Evidence, pace: float) -> float:
    """Seconds that the stage asks for in any case."""
    stage = seen.rollout.policy.stages[seen.rollout.stage]
    came = evidence.shadow_stage.pairs if evidence.paired else evidence.in_stage.units.both
    units = max(stage.min_units - came, 0) / pace
    bake = stage.min_bake_s - (seen.now - seen.rollout.entered_at)
    return max(units, bake if seen.rollout.state is RolloutState.EXPOSING else 0.0, 0.0)


def _here(seen: Seen) -> int:
    """The rung that it stands on: -1 is the benchmark, -2 before it."""
    rollout = seen.rollout
    soak = len(rollout.policy.stages)
    match rollout.state:
        case RolloutState.QUEUED | RolloutState.CANCELLED:
            return -2
        case RolloutState.BENCHMARKING | RolloutState.REJECTED:
            return -1
        case RolloutState.COMPLETED | RolloutState.UNDONE:
            return soak + 1
        case _:
            return min(rollout.stage, soak)


def _rung(name: str, number: int, here: int, seen: Seen, lines: tuple[str, ...]) -> Rung:
    state = seen.rollout.state
    place: Place = "done" if number < here else "next"
    if number == here and state in {RolloutState.ROLLED_BACK, RolloutState.REJECTED}:
        place = "stopped"
    elif number == here:
        place = "ended" if state in TERMINAL - {RolloutState.COMPLETED} else "here"
    return Rung(name=name, place=place, lines=lines)


def _gate(seen: Seen) -> tuple[str, ...]:
    factor = f"margins × {seen.rollout.policy.gate_margin_factor:g}"
    if seen.rollout.state is RolloutState.BENCHMARKING:
        return f"{span(seen.now - seen.rollout.entered_at)} so far", "on the eval set", factor
    if seen.benchmark is not None:
        return f"{_VERDICTS[seen.benchmark.verdict]} {seen.benchmark.eval_set}", factor
    return "on the eval set", factor


def _past(seen: Seen, starts: dict[int, StageStart], number: int) -> tuple[str, ...]:
    if number not in starts:
        return ()
    later = [one.at for stage, one in starts.items() if stage > number]
    ended = seen.rollout.ended_at
    end = min(later) if later else ended if ended is not None else seen.now
    return span(end - starts[number].at), _units(seen, number)


def _so_far(seen: Seen, starts: dict[int, StageStart], number: int) -> tuple[str, ...]:
    stage = seen.rollout.policy.stages[number]
    if seen.rollout.state is RolloutState.EXPOSING:
        # A pause lets the stage begin anew, so the clock is that of the state.
        least = wording.duration(stage.min_bake_s)
        lasted = f"{span(seen.now - seen.rollout.entered_at)} so far, at least {least}"
    else:
        begun = starts[number].at if number in starts else seen.rollout.entered_at
        lasted = f"{span(seen.now - begun)} so far"
    return lasted, f"{_units(seen, number)} of at least {stage.min_units:,}"


def _units(seen: Seen, number: int) -> str:
    evidence, came = seen.evidence, 0
    if evidence is not None and is_shadow(seen.rollout.policy, number):
        came = 0 if evidence.shadow is None else evidence.shadow.stages[number].pairs
    elif evidence is not None:
        came = evidence.stages[number].units.both
    return f"{came:,} {things(seen.rollout, number)}"


def _soak(seen: Seen, starts: dict[int, StageStart], here: int) -> tuple[str, ...]:
    policy = seen.rollout.policy
    soak = len(policy.stages)
    lasts = f"soak {wording.duration(policy.soak_s)}"
    rest = f"{wording.share(policy.holdback)} stays on stable"
    asked = _permits(seen, soak, here)
    if here == soak and seen.rollout.state not in TERMINAL:
        return lasts, f"{span(seen.now - seen.rollout.entered_at)} so far", _units(seen, soak), rest
    return (*_past(seen, starts, soak), lasts, rest) if here >= soak else (lasts, rest, *asked)
