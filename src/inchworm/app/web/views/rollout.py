"""One rollout as its page shows it. Pure: everything was read before (``seen``)."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.app.web.views import ladder as rungs
from inchworm.app.web.views.acts import Offer, offers
from inchworm.app.web.views.clustered import ClusterTile, cluster_tiles
from inchworm.app.web.views.exposed import Exposures, exposures
from inchworm.app.web.views.gates import tiles
from inchworm.app.web.views.ladder import Ladder, ladder
from inchworm.app.web.views.permitted import awaited, facts_of_permits, from_whom, rule_of, without_command
from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.segmented import SegmentRow, segments
from inchworm.app.web.views.stages import StageStart, stage_name, starts_alike
from inchworm.app.web.views.tile import Tile
from inchworm.app.web.views.told import DecisionLine, GateTable, LayerLine, decisions, gate, layers
from inchworm.app.web.views.words import at, coming, evalue, moved, sentence, sentence_end
from inchworm.domain import wording
from inchworm.domain.ids import short
from inchworm.domain.rollout import Lineage, RolloutState
from inchworm.domain.verdict import Verdict
from inchworm.rollout.evidence import ShadowEvidence
from inchworm.rollout.evidence.populations import is_shadow
from inchworm.rollout.transitions import IN_FLIGHT, STOPPED, TERMINAL, weight_of
from inchworm.rollout.wording import count, named, plural, share_at, standing

_MOST_CLAUSES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutPage:
    """What the page of a rollout says, and its JSON twin.

    Attributes:
        id: ``r-57``.
        app: ``app/environment``.
        layer: the layer that moves; of a joint step the leading one.
        layers: all that move together.
        change: what it changes: ``documents 1 → 3``.
        emergency: why the glass was broken; ``None`` unless it was.
        retries: the rollout that this one tries again; ``None`` if none.
        again: the rollout that tries this one again, likewise.
        facts: names with what is known, for the head: approvals, the loss budget.
        plan: the plan that it is a step of.
        step: its place in the plan, from 1.
        steps: how many there are.
        author: who applied it.
        created_at: when, seconds since the epoch.
        state: ``exposing``.
        terminal: whether it has ended.
        harmed: whether it was rolled back, or its benchmark stopped it.
        standing: where it stands in words: ``exposing, stage 1 of 3 (5 %)``.
        weight: the candidate's share of the traffic.
        because: the last decision's sentence.
        say: its state as a sentence with a because.
        then: what happens next, and when, as sentences.
        acts: what a person may do now.
        exposures: who was exposed.
        ladder: where it stands.
        paired: whether the gates rest on pairs of answers to the same input.
        tiles: one per metric.
        clusters: metrics by cluster, where clusters are watched.
        clocks: evidence of harm per clock, as sentences.
        segments: between observed changes; none if nothing was observed to change.
        stages: when each stage began whose evidence the tiles show.
        until: where the time axis ends, seconds since the epoch.
        decisions: the newest first.
        differs: all six layers, with what differs.
        benchmark: what let it through, or stopped it.
        now: when it was looked at, seconds since the epoch.
    """

    id: str
    app: str
    layer: str
    layers: tuple[str, ...]
    change: str
    emergency: str | None
    retries: str | None
    again: str | None
    facts: tuple[tuple[str, str], ...]
    plan: str
    step: int
    steps: int
    author: str
    created_at: float
    state: str
    terminal: bool
    harmed: bool
    standing: str
    weight: float
    because: str
    say: str
    then: tuple[str, ...]
    acts: tuple[Offer, ...]
    exposures: Exposures
    ladder: Ladder
    paired: bool
    tiles: tuple[Tile, ...]
    clusters: tuple[ClusterTile, ...]
    clocks: tuple[str, ...]
    segments: tuple[SegmentRow, ...]
    stages: tuple[StageStart, ...]
    until: float
    decisions: tuple[DecisionLine, ...]
    differs: tuple[LayerLine, ...]
    benchmark: GateTable | None
    now: float


def build(seen: Seen, lineage: Lineage, who: str | None = None) -> RolloutPage:
    """The page of a rollout.

    Args:
        seen: all that was read of it.
        lineage: of its app.
        who: who looks; whether an approval would count depends on it.
    """
    rollout = seen.rollout
    may = offers(seen, lineage, who)
    metrics = tiles(seen)
    return RolloutPage(
        id=rollout.id,
        app=str(rollout.app),
        layer=rollout.layer.value,
        layers=tuple(layer.value for layer in rollout.layers),
        change=moved(rollout.layer, seen.diffs),
        emergency=rollout.emergency,
        retries=rollout.retries,
        again=seen.again,
        facts=tuple(facts_of_permits(seen)),
        plan=rollout.plan_id,
        step=rollout.step,
        steps=rollout.steps,
        author=rollout.author,
        created_at=rollout.created_at,
        state=rollout.state.value,
        terminal=rollout.state in TERMINAL,
        harmed=rollout.state in {RolloutState.ROLLED_BACK, RolloutState.REJECTED},
        standing=standing(rollout),
        weight=weight_of(rollout.state, rollout.stage, rollout.policy),
        because=rollout.because,
        say=say(seen),
        then=then(seen, may),
        acts=may,
        exposures=exposures(seen),
        ladder=ladder(seen),
        paired=seen.evidence is not None and seen.evidence.paired,
        tiles=metrics,
        clusters=cluster_tiles(seen, len(metrics) + 1),
        clocks=clocks(seen),
        segments=segments(seen),
        stages=starts_alike(rollout, seen.decisions),
        until=rollout.ended_at if rollout.ended_at is not None else seen.now,
        decisions=decisions(seen, may),
        differs=layers(seen),
        benchmark=gate(seen.benchmark),
        now=seen.now,
    )


def say(seen: Seen) -> str:
    """Its state as a sentence with a because."""
    rollout = seen.rollout
    share = share_at(rollout.state, rollout.stage, rollout.policy)
    if rollout.state is RolloutState.SOAKING and rollout.emergency is not None:
        return f"Soaking at {share}, because {rollout.author} broke the glass. {_harm(seen)}".rstrip()
    if rollout.state is RolloutState.SOAKING:
        return f"Soaking at {share}{_reason(rollout.because)} {_harm(seen)}".rstrip()
    if rollout.state is not RolloutState.EXPOSING:
        return sentence(without_command(rollout.because))
    needs = rungs.needs(seen)
    if seen.evidence is None or seen.evidence.seen == 0:
        return f"{_begin(share)} of the {plural(rollout.policy.unit)}{_reason(rollout.because)}"
    if not needs:
        return f"{_begin(share)}, and it expands in the next round, because every gate has passed."
    shown = list(needs[:_MOST_CLAUSES])
    if len(needs) > _MOST_CLAUSES:
        shown.append(f"{len(needs) - _MOST_CLAUSES:,} more are open")
    return f"Holding {_begin(share).lower()} because {wording.listed(shown)}. {_harm(seen)}"


def _begin(share: str) -> str:
    """``At 5 %``, ``In the shadow of 20 %``."""
    return f"In {share}" if share.startswith("the shadow") else f"At {share}"


def _reason(because: str) -> str:
    """How a decision is tied on: ``, because every gate passed.`` or ``: promoted by ana.``, with a stop."""
    _, said, reason = because.replace("`", "").partition(" because ")
    return sentence_end(f", because {reason}" if said else f": {because}")


def _harm(seen: Seen) -> str:
    evidence = seen.evidence
    if evidence is not None and evidence.paired and evidence.shadow is not None:
        return _of_harm(evidence.shadow.log_e, evidence.shadow.alpha)
    known = [] if evidence is None else [clock for clock in evidence.clocks if clock.log_e is not None]
    if not known:
        return ""
    worst = max(known, key=lambda clock: clock.log_e or 0.0)
    return _of_harm(worst.log_e or 0.0, worst.alpha)


def _of_harm(log_e: float, alpha: float) -> str:
    return "Nothing points to harm." if log_e <= 0 else f"Of harm: {evalue(log_e)} of {wording.line(alpha)}."


def clocks(seen: Seen) -> tuple[str, ...]:
    """Evidence of harm per clock."""
    evidence = seen.evidence
    if evidence is None:
        return ()
    found: list[str] = []
    if evidence.paired and evidence.shadow is not None:
        shadow = evidence.shadow
        return (f"harm, pairs: {evalue(shadow.log_e)} of {wording.line(shadow.alpha)}{_paired(shadow)}",)
    for clock in evidence.clocks:
        name = f"{clock.clock.value} clock"
        if clock.log_e is None:
            found.append(f"harm, {name}: void")
            continue
        passed = ""
        if clock.crossing is not None:
            where = wording.ordinal(clock.crossing.unit)
            by = named(clock.crossing)
            passed = f", passed at the {where} {seen.rollout.policy.unit.value} by {by}"
        found.append(f"harm, {name}: {evalue(clock.log_e)} of {wording.line(clock.alpha)}{passed}")
    return tuple(found)


def _paired(shadow: ShadowEvidence) -> str:
    crossing = shadow.crossing
    if crossing is None:
        return ""
    by = named(crossing)
    return f", passed at the {wording.ordinal(crossing.unit)} pair by {by}"


def then(seen: Seen, may: tuple[Offer, ...]) -> tuple[str, ...]:
    """What happens next, and when."""
    rollout, policy = seen.rollout, seen.rollout.policy
    match rollout.state:
        case RolloutState.QUEUED:
            return (_queued(seen),)
        case RolloutState.BENCHMARKING:
            share, units = wording.share(policy.stages[0].weight), plural(policy.unit)
            gets = "are mirrored to it" if is_shadow(policy, 0) else "get it"
            return (f"If the benchmark passes, {share} of the {units} {gets}; if it fails, nobody does.",)
        case RolloutState.EXPOSING:
            return _exposing(seen)
        case RolloutState.HOLDING if rollout.stage < 0 and (waits := _waits(seen)):
            return (waits, "Nobody gets it until then.")
        case RolloutState.HOLDING if rollout.stage < 0:
            return ("A person decides: expose it all the same, or abort. Nobody gets it until then.",)
        case RolloutState.HOLDING:
            more = (
                " It still expands when the evidence suffices." if rollout.stage < len(policy.stages) else ""
            )
            return (f"A person decides: promote, resume or abort.{more} Guardrails run on.",)
        case RolloutState.PAUSED:
            return ("It stays as it is until a person resumes, promotes or aborts. Guardrails run on.",)
        case RolloutState.SOAKING:
            end = rollout.entered_at + policy.soak_s + (policy.maturation_s if policy.soak_s > 0 else 0.0)
            return (f"If nothing is harmed it becomes stable {_when(end, seen.now)}.",)
        case _:
            return _over(seen, may)


def _waits(seen: Seen) -> str:
    """What leads it on by itself although it is held: its gate has passed, and something is awaited."""
    passed = not seen.rollout.policy.gate or (
        seen.benchmark is not None and seen.benchmark.verdict is Verdict.PASS
    )
    rule, said = rule_of(seen.rollout), list[str]()
    if rule is not None and 0 in awaited(seen):
        said.append(f"approved by {from_whom(seen, rule, 0)}")
    if seen.permits.frozen_until is not None:
        said.append(f"the freeze is over, {coming(seen.permits.frozen_until, seen.now)}")
    if not passed or not said:
        return ""
    first = stage_name(seen.rollout, 0)
    return f"It goes on to {first} by itself once {' and '.join(said)}."


def _when(moment_s: float, now: float) -> str:
    return "in the next round" if moment_s <= now else f"in {wording.duration(moment_s - now)}"


def _exposing(seen: Seen) -> tuple[str, ...]:
    rollout = seen.rollout
    limit = rollout.entered_at + rollout.policy.stages[rollout.stage].max_bake_s
    left = wording.duration(max(limit - seen.now, 0.0))
    deadline = f"The deadline is {coming(limit, seen.now)}, in {left}; then it holds and asks."
    if not rungs.needs(seen) and seen.evidence is not None and seen.evidence.seen:
        return (deadline,)
    when = rungs.ahead(seen)
    if when is None:
        return ("How long it takes is said after a few more looks.", deadline)
    return rungs.said(when), deadline


def _queued(seen: Seen) -> str:
    before = [one for one in seen.others if one.created_at <= seen.rollout.created_at]
    flying = [one for one in seen.others if one.state in IN_FLIGHT]
    if flying:
        one = flying[0]
        frozen = "" if seen.permits.frozen is None else f" Nothing starts in {seen.permits.frozen}."
        return f"It waits for {one.id} ({one.layer}), {standing(one)}; one change at a time.{frozen}"
    ahead = [
        one
        for one in before
        if one.state is RolloutState.QUEUED and _number(one.id) < _number(seen.rollout.id)
    ]
    if ahead:
        return (
            f"{wording.counted(len(ahead), 'step')} before it; the first is {ahead[0].id} ({ahead[0].layer})."
        )
    until = seen.permits.frozen_until
    if seen.permits.frozen is not None and until is not None and seen.rollout.emergency is None:
        return f"It is next, and starts after the freeze, {coming(until, seen.now)}."
    return "It is next, and starts in the next round."


def _number(rollout_id: str) -> int:
    return int(rollout_id.rpartition("-")[2])


def _over(seen: Seen, may: tuple[Offer, ...]) -> tuple[str, ...]:
    rollout = seen.rollout
    said: list[str] = []
    saw = 0 if seen.evidence is None else seen.evidence.candidate
    shadow = None if seen.evidence is None else seen.evidence.shadow
    if not saw and shadow is not None and shadow.pairs and rollout.state in STOPPED:
        said.append(f"Nobody saw it: it was told by {wording.counted(shadow.pairs, 'pair')}.")
    elif rollout.state in {RolloutState.ROLLED_BACK, RolloutState.ABORTED} and rollout.base is not None:
        since = "" if rollout.ended_at is None else f" since {at(rollout.ended_at, seen.now)}"
        said.append(
            f"{count(saw, rollout.policy.unit)} saw it; {short(rollout.base)} is served everywhere{since}."
        )
    if rollout.state is RolloutState.REJECTED:
        said.append("Nobody saw it.")
    if any(offer.act == "undo" for offer in may):
        said.append("It can be undone while it is stable and nothing else is in flight.")
    if seen.others:
        one = seen.others[0]
        said.append(f"Next is {one.id} ({one.layer}), {standing(one)}.")
    return tuple(said)
