"""One rollout as text: exposures first, then the ladder, the evidence and the decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence

from inchworm.app import differences
from inchworm.app.cli.evidence_view import parts
from inchworm.app.cli.output import heading, paragraph, table, when
from inchworm.app.loop.seeing import Seen
from inchworm.app.texts import one_line, span
from inchworm.domain.ids import short
from inchworm.domain.rollout import Decision, RolloutState
from inchworm.rollout import wording
from inchworm.rollout.evidence import Evidence, MetricEvidence
from inchworm.rollout.evidence.populations import is_shadow
from inchworm.rollout.permits import rung_name
from inchworm.rollout.transitions import IN_FLIGHT, STOPPED, TERMINAL

CODES = {
    RolloutState.COMPLETED: 0,
    RolloutState.ROLLED_BACK: 1,
    RolloutState.REJECTED: 1,
    RolloutState.HOLDING: 3,
    RolloutState.ABORTED: 3,
    RolloutState.CANCELLED: 3,
    RolloutState.UNDONE: 3,
}
"""Exit codes of ``watch``: what was stopped by a person has shown nothing."""


class View(Seen):
    """All that is shown of one rollout, as a terminal shows it."""

    __slots__ = ()

    def lines(self, *, most: int | None = None) -> list[str]:
        """Everything, for a terminal.

        Args:
            most: how many decisions at most; all if left out.
        """
        out = [*self._head(), "", *self._exposed(), "", *self._ladder()]
        if self.evidence is not None:
            out += ["", *_metrics(self.evidence)]
            out += [*_harm(self.evidence), *parts(self.evidence)]
        out += ["", *self._decided(most)]
        return out + self._footer()

    def _head(self) -> list[str]:
        one = self.rollout
        moved = differences.said(self.diffs) or "nothing left to change"
        layers = wording.listed([str(layer) for layer in one.layers])
        first = f"{one.id} · step {one.step} of {one.steps} of {one.plan_id} · {layers}: {moved}"
        lasted = "" if one.state in TERMINAL else f" for {span(self.now - one.entered_at)}"
        sides = f"{short(one.base)} → {short(one.candidate)}" if one.base and one.candidate else "not started"
        where = wording.standing(one)
        head, *rest = paragraph(first)
        return [
            heading(head),
            *rest,
            f"{where}{lasted}   {sides}   applied by {one_line(one.author)} {when(one.created_at)}",
            *self._people(),
        ]

    def _people(self) -> list[str]:
        """What people said about it besides."""
        one = self.rollout
        out: list[str] = []
        if one.emergency is not None:
            out += paragraph(f"EMERGENCY: the glass was broken: {one_line(one.emergency)}")
        if one.retries is not None:
            out.append(f"It tries {one.retries} again.")
        for said in self.approvals:
            why = f": {one_line(said.reason)}" if said.reason else ""
            rung = rung_name(one.policy, said.stage)
            out += paragraph(f"Approved for {rung} by {one_line(said.actor)} {when(said.at)}{why}")
        return out

    def _exposed(self) -> list[str]:
        evidence, unit = self.evidence, self.rollout.policy.unit
        if evidence is None or evidence.consumed == 0:
            return ["Nobody is exposed yet."]
        units = wording.plural(unit)
        line = wording.line(evidence.alpha_ratio)
        ratio = f"sample ratio e = {wording.evidence(evidence.log_e_ratio)}, alarm at {line}"
        if evidence.ratio_void:
            at = evidence.ratio_void_at
            seen = "" if at is None else f" since the {wording.ordinal(at)} of the {units}"
            split = f"NOT split as planned{seen}, so the evidence is void ({ratio})"
        else:
            split = f"split as planned ({ratio})"
        out = paragraph(
            f"Exposed: {evidence.candidate:,} of {wording.count(evidence.consumed, unit)} got the candidate, "
            f"{evidence.expected:,.1f} were expected: {split}."
        )
        one = self.rollout
        if one.state in STOPPED and one.base is not None and one.ended_at is not None:
            since = when(one.ended_at, seconds=True)
            saw = wording.count(evidence.candidate, unit)
            out += paragraph(f"{saw} saw it. {short(one.base)} is served everywhere since {since}.")
        return out

    def _ladder(self) -> list[str]:
        one, evidence = self.rollout, self.evidence
        on_ladder = one.state in IN_FLIGHT and one.state is not RolloutState.BENCHMARKING
        rows = []
        for number, stage in enumerate(one.policy.stages):
            bake = f"{wording.duration(stage.min_bake_s)} … {wording.duration(stage.max_bake_s)}"
            rows.append(
                [
                    "▶" if on_ladder and number == one.stage else "",
                    f"stage {number + 1}",
                    wording.share_at(RolloutState.EXPOSING, number, one.policy),
                    _pairs(evidence, number) if is_shadow(one.policy, number) else _units(evidence, number),
                    f"at least {stage.min_units:,}",
                    bake,
                    f"margins × {stage.margin_factor:g}",
                ]
            )
        soak = len(one.policy.stages)
        rows.append(
            [
                "▶" if on_ladder and one.stage >= soak else "",
                "soak",
                wording.percent(1 - one.policy.holdback),
                _units(evidence, soak),
                "",
                wording.duration(one.policy.soak_s),
                "margins × 1",
            ]
        )
        heads = ["", "", "share", wording.plural(one.policy.unit), "needs", "time", ""]
        return table(rows, heads=heads, right={2, 3}, indent=0)

    def _decided(self, most: int | None) -> list[str]:
        if not self.decisions:
            return paragraph(f"Nothing was decided yet: {self.rollout.because}")
        newest = self.decisions[::-1]
        shown = newest if most is None else newest[:most]
        rows = [[when(one.at, seconds=True), one.kind.value, _sentence(one)] for one in shown]
        more = len(newest) - len(shown)
        left = [f"  and {more:,} before: inchworm rollout show {self.rollout.id}"] if more else []
        return [heading("Decisions, newest first"), *table(rows), *left]

    def _footer(self) -> list[str]:
        out: list[str] = []
        if self.may:
            commands = " · ".join(f"inchworm rollout {act.value} {self.rollout.id}" for act in self.may)
            out += paragraph(f"You may: {commands}")
        if self.then is not None and self.rollout.state in TERMINAL:
            then = f"{self.then.id} ({self.then.layer}, {wording.state(self.then.state)})"
            out += paragraph(f"Next is {then}: inchworm rollout watch {self.then.id}")
        return ["", *out] if out else []


def _sentence(decision: Decision) -> str:
    by = "" if decision.actor == "inchworm" else f" ({one_line(decision.actor)})"
    text = one_line(decision.because)
    return text[:1].upper() + text[1:] + by


def _units(evidence: Evidence | None, number: int) -> str:
    if evidence is None or number >= len(evidence.stages):
        return "none"
    units = evidence.stages[number].units.both
    return f"{units:,}" if units else "none"


def _pairs(evidence: Evidence | None, number: int) -> str:
    if evidence is None or evidence.shadow is None:
        return "none"
    pairs = evidence.shadow.stages[number].pairs
    return wording.counted(pairs, "pair") if pairs else "none"


def _metrics(evidence: Evidence) -> list[str]:
    rows = [_row(one) for one in evidence.metrics]
    heads = ["metric", "points", "interval", "margin", "to expand", "of harm"]
    expand = f"  a stage expands when every goal and guardrail has {wording.line(evidence.alpha_expand)}"
    return [*table(rows, heads=heads, right={1, 3, 4}), expand]


def _row(one: MetricEvidence) -> Sequence[str]:
    effect = one.effect
    estimate = "none yet" if effect is None else wording.points(effect.effect)
    interval = "" if effect is None else wording.interval(effect)
    weight = math.log(one.weight) if one.weight > 0 else 0.0
    harm = wording.evidence(one.log_e_harm)
    if one.void_at is not None:
        harm += " (void: values come more often in one arm)"
    elif not one.gates:
        harm += f" of {wording.line(one.alpha_harm * math.exp(weight))}, pauses"
    return [
        one.name if one.gates else f"{one.name} (signal)",
        estimate,
        interval,
        f"−{100 * one.margin:.1f}",
        wording.evidence(one.log_e_expand),
        harm,
    ]


def _harm(evidence: Evidence) -> list[str]:
    rows = []
    for clock in evidence.clocks:
        value = "void" if clock.log_e is None else wording.evidence(clock.log_e)
        crossed = clock.crossing
        passed = (
            "not passed"
            if crossed is None
            else f"PASSED at the {wording.ordinal(crossed.unit)} unit, by {wording.named(crossed)}"
        )
        rows.append([f"  harm, {clock.clock} clock", f"{value} of {wording.line(clock.alpha)}", passed])
    return table(rows, indent=0)
