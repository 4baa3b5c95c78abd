"""Who was exposed to what: the first thing that a rollout's page says, since all else rests on it."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.app.web.views.seen import Seen, Served
from inchworm.app.web.views.stages import stage_name
from inchworm.app.web.views.units import facts_of_units
from inchworm.app.web.views.words import at, evalue, shares
from inchworm.domain import wording
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.rollout.evidence import Evidence, Pair, ShadowStage
from inchworm.rollout.evidence.populations import is_shadow
from inchworm.rollout.transitions import IN_FLIGHT
from inchworm.rollout.wording import count, plural
from inchworm.stats.intervals import wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """One stage.

    Attributes:
        name: ``5 %``, ``shadow 20 %``, ``soak``, ``All``.
        now: whether it is the present one.
        paired: whether it was mirrored: then units are pairs, and each is in both arms.
        units: matured units in both arms, or pairs.
        baseline: in the baseline.
        candidate: in the candidate.
        share: ``4.9 %``; empty without units.
        interval: ``(4.4 … 5.6)``, 95 %.
        errored: units on which the harness or a judge failed, ``3 · 0``, baseline first.
        silent: units that nothing came in from, likewise.
    """

    name: str
    now: bool
    paired: bool
    units: int
    baseline: int
    candidate: int
    share: str
    interval: str
    errored: str
    silent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposures:
    """Who was exposed.

    Attributes:
        said: sentences above the table.
        split: ``split as planned, e = 0.33``; empty before anybody was exposed.
        void: whether the split voids all evidence.
        rows: one per stage that was reached.
        total: all stages.
        facts: names with what is known, for the list beside the table.
    """

    said: tuple[str, ...]
    split: str
    void: bool
    rows: tuple[StageRow, ...]
    total: StageRow | None
    facts: tuple[tuple[str, str], ...]


def exposures(seen: Seen) -> Exposures:
    """Who was exposed, as far as it is known."""
    rollout, evidence = seen.rollout, seen.evidence
    reached = evidence is not None and evidence.seen > 0
    rows = _rows(rollout, evidence) if evidence is not None and reached else ()
    exposed = [row for row in rows if not row.paired]
    return Exposures(
        said=_said(seen),
        split=_split(evidence) if evidence is not None and evidence.consumed else "",
        void=evidence is not None and evidence.ratio_void,
        rows=rows,
        total=_total(evidence) if evidence is not None and len(exposed) > 1 else None,
        facts=_facts(seen),
    )


def _split(evidence: Evidence) -> str:
    planned = "not split as planned" if evidence.ratio_void else "split as planned"
    return f"{planned}, {evalue(evidence.log_e_ratio)}"


def _said(seen: Seen) -> tuple[str, ...]:
    evidence, unit = seen.evidence, seen.rollout.policy.unit
    if evidence is None or evidence.consumed == 0:
        if seen.exposed:
            waits = wording.duration(seen.rollout.policy.maturation_s)
            return (f"{count(seen.exposed, unit)} exposed; each counts {waits} after its first exposure.",)
        if evidence is not None and evidence.shadow is not None and evidence.shadow.pairs:
            pairs = wording.counted(evidence.shadow.pairs, "pair")
            return (
                "Nobody is exposed.",
                f"{pairs}: both answered the same input, and only stable was heard.",
            )
        if is_shadow(seen.rollout.policy, seen.rollout.stage):
            return ("Nobody is exposed.", "No pair has matured yet.")
        if seen.rollout.state is RolloutState.EXPOSING:
            return (f"Nobody yet: it waits for the first of the {plural(unit)}.",)
        return ("Nobody is exposed.",)
    ratio = f"sample ratio {evalue(evidence.log_e_ratio)}, void at {wording.line(evidence.alpha_ratio)}"
    if evidence.ratio_void:
        where = evidence.ratio_void_at
        since = "" if where is None else f" since the {wording.ordinal(where)} of the {plural(unit)}"
        split = f"Not split as planned{since}: {ratio}. All evidence is void."
    else:
        split = f"Split as planned: {ratio}."
    changed = seen.changed_arms
    kept = "Nobody changed arm." if changed == 0 else f"{count(changed, unit)} changed arm."
    return (split, kept) if evidence.ratio_void else (split, kept, "Evidence counts.")


def _rows(rollout: Rollout, evidence: Evidence) -> tuple[StageRow, ...]:
    on_ladder = rollout.state in IN_FLIGHT
    found: list[StageRow] = []
    for number, stage in enumerate(evidence.stages):
        now, name = on_ladder and number == rollout.stage, stage_name(rollout, number)
        if is_shadow(rollout.policy, number) and evidence.shadow is not None:
            mirrored = evidence.shadow.stages[number]
            if mirrored.pairs or now:
                found.append(_paired(name, mirrored, now=now))
        elif stage.units.both or now:
            found.append(_row(name, stage.units, stage.errored, stage.silent, now=now))
    return tuple(found)


def _paired(name: str, stage: ShadowStage, *, now: bool) -> StageRow:
    return StageRow(
        name=name,
        now=now,
        paired=True,
        units=stage.pairs,
        baseline=stage.pairs,
        candidate=stage.pairs,
        share="same input",
        interval="",
        errored=f"{stage.errored:,}",
        silent=f"0 · {stage.silent:,}",
    )


def _total(evidence: Evidence) -> StageRow:
    units, errored, silent = Pair(), Pair(), Pair()
    for stage in evidence.stages:
        units, errored, silent = units + stage.units, errored + stage.errored, silent + stage.silent
    return _row("All", units, errored, silent, now=False, share=False)


def _row(name: str, units: Pair, errored: Pair, silent: Pair, *, now: bool, share: bool = True) -> StageRow:
    # The shares of several stages together say nothing: each was drawn at its own.
    known = share and units.both > 0
    interval = wilson(units.candidate, units.both) if known else None
    return StageRow(
        name=name,
        now=now,
        paired=False,
        units=units.both,
        baseline=units.baseline,
        candidate=units.candidate,
        share=wording.percent(units.candidate / units.both) if known else "",
        interval=shares(interval.low, interval.high) if interval is not None else "",
        errored=f"{errored.baseline:,} · {errored.candidate:,}",
        silent=f"{silent.baseline:,} · {silent.candidate:,}",
    )


def _facts(seen: Seen) -> tuple[tuple[str, str], ...]:
    evidence = seen.evidence
    facts = [*facts_of_units(seen)]
    if evidence is not None and seen.exposed:
        if evidence.consumed:
            facts.append(
                (
                    "expected",
                    f"{evidence.candidate:,} got the candidate, {evidence.expected:,.1f} were expected",
                )
            )
        facts += _labels(evidence)
    facts.append(("served", served(seen)))
    return tuple(facts)


def _labels(evidence: Evidence) -> list[tuple[str, str]]:
    """Metrics that lack values, and whether they lack them alike; those that lack the same, together."""
    found: dict[str, list[str]] = {}
    for one in evidence.metrics:
        if not one.missing.both:
            continue
        alike = "alike in both arms" if one.void_at is None else "not alike, so it is void"
        said = (
            f"for {one.reported.candidate:,} of {one.reported.candidate + one.missing.candidate:,} "
            f"candidate, {one.reported.baseline:,} of {one.reported.baseline + one.missing.baseline:,} "
            f"baseline, {alike}, {evalue(one.log_e_coverage)}"
        )
        found.setdefault(said, []).append(one.name)
    return [("values", f"of {wording.listed(names)} {said}") for said, names in found.items()]


def served(seen: Seen) -> str:
    """What is served, and how many gateways hold it: read back, not believed."""
    here = seen.served
    if here.shadow:
        what = f"{wording.share(here.shadow)} mirrored, nobody gets it"
    elif here.weight is not None:
        what = wording.share(here.weight)
    elif here.stable == seen.rollout.candidate and seen.rollout.state is RolloutState.COMPLETED:
        what = "as stable, to everybody"
    else:
        what = f"nothing of it{'' if here.other is None else f', since {here.other} is being exposed'}"
    return f"{what}, {_held(here, seen.now)}"


def _held(here: Served, now: float) -> str:
    known = here.gateways
    if not known:
        return "written to the serving table; no gateway has asked since the server started"
    holding = [one for one in known if one.holds == here.version]
    last = max(one.at for one in known)
    text = f"read back from {len(holding):,} of {len(known):,} {'gateway' if len(known) == 1 else 'gateways'}"
    behind = [one.name for one in known if one.holds != here.version]
    late = f", {wording.listed(behind)} not yet" if behind else ""
    return f"{text}{late}, {at(last, now)}"
