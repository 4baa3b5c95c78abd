"""Taking a change apart: one layer per step, in an order in which every intermediate can run.

Where no such order exists, the smallest set of layers moves together, and says so. What was measured on the
eval set can close ways as well: a combination that fails there is none to be stable, not even for a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from inchworm.domain.canonical import digest
from inchworm.domain.change import Change, Checked, Coupling, Plan, Step, diff
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import PlanId, short
from inchworm.domain.layers import Layer
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import listed
from inchworm.rollout.sequencing.facts import facts
from inchworm.rollout.sequencing.legs import After, Leg, Measured, Needed, Ties, ties_of
from inchworm.rollout.sequencing.orders import Moved, best_way, circle, in_order
from inchworm.rollout.validate import Known, Problem, checks, doubts, validate

_DEFAULT = "default order"


def take_apart(
    change: Change,
    known: Known,
    after: After | None = None,
    *,
    needed: Needed | None = None,
    via: Configuration | None = None,
    measured: Measured | None = None,
    joint: bool = False,
) -> Plan:
    """The plan for ``change``: its layers as steps, in the default order where nothing forbids it.

    Of all orders in which every intermediate configuration is valid, each layer comes after those it needs,
    and nothing in between fails on the eval set, the one closest to the default order is taken. If there is
    none, the layers that only work together move in one joint step, and the plan says why. What was measured
    closes ways only if the candidate itself passes: otherwise no order helps.

    Args:
        change: base and candidate, which must differ.
        known: what validation may use of the app's traffic.
        after: for a layer, the layers that must move before it, as declared.
        needed: the same as detected; it gives way to what is declared.
        via: a configuration that the way leads over.
        measured: what the gate says of combinations.
        joint: let layers move together also where the candidate does not fail, but does not pass either.

    Raises:
        UsageError: if nothing differs, the candidate itself cannot run, ``after`` goes in circles, ``via`` is
            no bridge, or ``joint`` is asked for layers that nothing couples.
    """
    moved = change.layers
    if not moved:
        raise UsageError(
            "nothing to plan: inchworm.yaml says exactly what is stable",
            hint="change a layer, then run: inchworm plan",
        )
    declared = {layer: frozenset((after or {}).get(layer, ())) & set(moved) for layer in moved}
    if round_about := circle(declared):
        raise UsageError(
            f"after: goes in circles between {' and '.join(round_about)}",
            hint="remove one of these lines from rollout.after in inchworm.yaml",
        )
    _refuse_broken(validate(change.candidate, known), "the configuration that is asked for cannot run")
    if via is not None:
        _refuse_bridge(change, via, known, measured)
    legs = [
        Leg(
            base=base,
            candidate=candidate,
            known=known,
            declared=after or {},
            needed=needed or {},
            measured=measured,
            strict=_strict(measured, candidate, joint=joint),
        )
        for base, candidate in _ends(change, via)
    ]
    steps, couplings = _carried(legs, via)
    if joint and not couplings:
        raise UsageError(
            f"nothing couples {listed(moved)}: each can move by itself, so that what harms can be told",
            hint="to see whether each holds without the others: inchworm plan --measure",
        )
    return Plan(
        id=_identify(change, steps, via, measured),
        change=change,
        steps=steps,
        diffs=diff(change.base, change.candidate),
        notes=_notes(len(steps), change, known, measured),
        checks=tuple(
            Checked(step=step.number, configuration=step.candidate.id, facts=facts(step.candidate, known))
            for step in steps
        ),
        couplings=couplings,
        corners=() if measured is None else measured.corners,
        via=None if via is None else via.id,
        eval_set=None if measured is None else measured.eval_set,
    )


def left_undecided(plan: Plan, sentences: Sequence[str]) -> Plan:
    """The plan with what its policy cannot decide at the app's traffic: another one, if there is any."""
    if not sentences:
        return plan
    name = PlanId(f"plan-{digest([plan.id, list(sentences)])[:8]}")
    return replace(plan, id=name, undecided=tuple(sentences))


def one_at_a_time(
    change: Change, known: Known, after: After, needed: Needed, measured: Measured, *, sure: bool = False
) -> bool:
    """Whether some order of single layers exists in which nothing in between fails on the eval set.

    Args:
        change: base and candidate.
        known: as for :func:`take_apart`.
        after: as declared.
        needed: as detected.
        measured: what the gate says.
        sure: only ways on which everything passes.
    """
    leg = Leg(
        base=change.base,
        candidate=change.candidate,
        known=known,
        declared=after,
        needed=needed,
        measured=measured,
        strict=True,
    )
    allowed = (lambda moved: leg.allowed(moved) and not leg.unsure(moved)) if sure else leg.allowed
    return (
        best_way(change.layers, allowed=allowed, unsure=leg.unsure, needs=leg.needs(), single=True)
        is not None
    )


def _strict(measured: Measured | None, candidate: Configuration, *, joint: bool) -> bool:
    """Whether what fails closes ways: if the end of the way is not good either, no way is better."""
    if measured is None:
        return False
    verdict = measured.verdict(candidate.id)
    return verdict is Verdict.PASS or (joint and verdict is not Verdict.FAIL)


def _ends(change: Change, via: Configuration | None) -> list[tuple[Configuration, Configuration]]:
    if via is None:
        return [(change.base, change.candidate)]
    return [(change.base, via), (via, change.candidate)]


def _carried(legs: Sequence[Leg], via: Configuration | None) -> tuple[tuple[Step, ...], tuple[Coupling, ...]]:
    steps: list[Step] = []
    couplings: list[Coupling] = []
    for number, leg in enumerate(legs):
        way = best_way(leg.layers, allowed=leg.allowed, unsure=leg.unsure, needs=leg.needs())
        # Everything at once is always a way, since both of its ends can run.
        blocks = (leg.layers,) if way is None else way
        # What comes after a bridge was only measured on it.
        before = legs[0].layers if number else ()
        towards = f"bridge to {short(via.id)}" if via is not None and not number else ""
        done: Moved = frozenset()
        placed: list[Ties] = []
        for block in blocks:
            coupling = leg.coupling(block, done) if len(block) > 1 else None
            couplings += [] if coupling is None else [coupling]
            placed.append(ties_of(leg, block, done, placed))
            steps.append(_step(leg, placed[-1], done, len(steps) + 1, before=before, towards=towards))
            done |= set(block)
    return tuple(steps), tuple(couplings)


def _step(leg: Leg, ties: Ties, done: Moved, number: int, *, before: tuple[Layer, ...], towards: str) -> Step:
    block, wanted, forced, failing = ties.block, ties.wanted, ties.forced, ties.failing
    said = {layer for layer in wanted if any(layer in leg.declared.get(one, ()) for one in block)}
    reasons = [towards] if towards else []
    reasons += [f"together with {listed(block[1:])}"] if len(block) > 1 else []
    reasons += [f"after: {', '.join(in_order(said))}"] if said else []
    reasons += [
        reason
        for layer in block
        for other, reason in leg.needed.get(layer, {}).items()
        if other in wanted - said - forced
    ]
    reasons += [f"cannot run without {layer}" for layer in in_order(forced - said)]
    reasons += [f"fails without {layer}" for layer in in_order(failing - said)]
    return Step(
        number=number,
        layer=block[0],
        base=leg.at(done).id,
        candidate=leg.at(done | set(block)),
        because="; ".join(reasons) or _DEFAULT,
        after=in_order({*ties.every, *before}),
        joint=block[1:],
    )


def _refuse_broken(found: Sequence[Problem], what: str) -> None:
    if found:
        raise UsageError(f"{what}: {'; '.join(problem.message for problem in found)}")


def _refuse_bridge(change: Change, via: Configuration, known: Known, measured: Measured | None) -> None:
    name = short(via.id)
    if via.id in {change.base.id, change.candidate.id}:
        raise UsageError(f"{name} is no bridge: it is an end of the way itself")
    _refuse_broken(validate(via, known), f"{name} is no bridge, because it cannot run")
    found = None if measured is None else measured.corner(via.id)
    if found is not None and found.verdict is Verdict.FAIL:
        raise UsageError(f"{name} is no bridge, because it fails itself: {found.because}")


def _identify(
    change: Change, steps: Sequence[Step], via: Configuration | None, measured: Measured | None
) -> PlanId:
    content: dict[str, object] = {
        "app": str(change.app),
        "base": change.base.id,
        "candidate": change.candidate.id,
        "steps": [
            [step.layer, step.candidate.id, list(step.after), *([list(step.joint)] if step.joint else [])]
            for step in steps
        ],
    }
    if via is not None:
        content["via"] = via.id
    if measured is not None:
        content["corners"] = [
            [one.configuration, one.verdict, one.benchmark_id, one.because] for one in measured.corners
        ]
    return PlanId(f"plan-{digest(content)[:8]}")


def _notes(count: int, change: Change, known: Known, measured: Measured | None) -> tuple[str, ...]:
    between = count - 1
    ran = (
        f"{between} of {between} intermediate configurations run"
        if between
        else "nothing in between to check"
    )
    had = {doubt.message for doubt in doubts(change.base, known)}
    return (
        f"Validated: {ran}.",
        *(f"Checked: {what}." for what in checks(known)),
        *(f"Doubt: {one.message}." for one in doubts(change.candidate, known) if one.message not in had),
        *_of_measuring(change, measured),
    )


def _of_measuring(change: Change, measured: Measured | None) -> list[str]:
    if measured is None:
        return []
    counts = {verdict: sum(one.verdict is verdict for one in measured.corners) for verdict in Verdict}
    told = [f"{count} {verdict.value.replace('_', ' ')}" for verdict, count in counts.items() if count]
    unmeasured = sum(one.verdict is None for one in measured.corners)
    told += [f"{unmeasured} not measured"] if unmeasured else []
    said = [f"Measured on {measured.eval_set}: {len(measured.corners)} combinations, {', '.join(told)}."]
    whole = measured.corner(change.candidate.id)
    if whole is not None and whole.verdict is not Verdict.PASS:
        said.append(
            "The candidate as a whole does not pass, so no order is better than another: "
            f"{whole.because.rstrip('.')}."
        )
    return [*said, *measured.remarks]
