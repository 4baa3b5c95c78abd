"""A plan as text and as Markdown."""

from __future__ import annotations

from inchworm.app import differences
from inchworm.app.cli.output import heading, paragraph, table, when
from inchworm.app.loop.expecting import TRAFFIC_DAYS, Asking, Spent
from inchworm.app.loop.planning import Outlook
from inchworm.app.texts import one_line
from inchworm.domain.change import Checked, Corner, Coupling, CouplingKind, Plan, Step
from inchworm.domain.ids import short
from inchworm.domain.rollout import Lineage, StageKind, UnitKind
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import counted, duration, listed, points, share, usd
from inchworm.rollout.sequencing.advice import as_sentence
from inchworm.rollout.sequencing.forecast import DAY_S, StageTime

_VERDICTS = {
    Verdict.PASS: "passes",
    Verdict.FAIL: "fails",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.NO_DATA: "no data",
    Verdict.ERRORED: "errored",
    Verdict.CANCELLED: "cancelled",
}
_KINDS = {
    CouplingKind.VALIDITY: "on every way one at a time something in between could not run",
    CouplingKind.NEED: "each makes no sense before the other",
    CouplingKind.QUALITY: "on every way one at a time something in between fails",
}

_REASON = " --undecided-because REASON"


def lines(plan: Plan, outlook: Outlook, lineage: Lineage, unit: UnitKind) -> list[str]:
    """The plan for a terminal."""
    since = f'since {when(lineage.since)}, "{one_line(lineage.note)}"'
    out = [
        heading(f"{plan.change.app}   stable {short(lineage.stable)} ({since})"),
        "",
        *paragraph(_opening(plan)),
        "",
        *table(differences.rows(plan.diffs)),
        "",
        *table(
            _steps(plan, outlook),
            heads=["step", "layer", "why here", "benchmark", f"canary at {_traffic(outlook, unit)}"],
            right={0},
        ),
        "",
    ]
    for sentence in _validated(plan):
        out += paragraph(sentence)
    for checked, facts in _facts(plan):
        out += paragraph(f"{checked}: {facts}.", indent=2)
    if plan.corners:
        out += ["", *table(_corners(plan), heads=["together", "verdict", "because"])]
        out += [part for note in _measured(plan) for part in paragraph(note)]
    for sentence in _further(plan, outlook, unit):
        out += paragraph(sentence)
    out += _snippet(outlook)
    return [*out, *_apply(plan, outlook)]


def markdown(plan: Plan, outlook: Outlook, unit: UnitKind) -> list[str]:
    """The plan for a pull request."""
    moved = ", ".join(f"`{layer}`" for layer in plan.change.layers)
    sides = f"{short(plan.change.base.id)} → {short(plan.change.candidate.id)}"
    way = "one at a time" if not plan.joint else f"{counted(len(plan.joint), 'step')} of several layers"
    out = [
        f"**{plan.id}**: {sides} moves {moved}, {way}.",
        "",
        "| layer | key | change |",
        "| --- | --- | --- |",
        *(
            f"| {diff.layer} | `{'.'.join(diff.path)}` | {_cell(differences.change(diff))} |"
            for diff in plan.diffs
        ),
        "",
        f"| step | layer | why here | benchmark | canary at {_traffic(outlook, unit)} |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in _steps(plan, outlook)),
        "",
    ]
    if plan.corners:
        out += ["| together | verdict | because |", "| --- | --- | --- |"]
        out += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in _corners(plan)]
        out += [""]
    out += [f"- {_cell(sentence)}" for sentence in _validated(plan)]
    out += [f"- {_cell(checked)}: {_cell(facts)}." for checked, facts in _facts(plan)]
    checked = [
        note.removeprefix("Checked: ").rstrip(".") for note in plan.notes if note.startswith("Checked: ")
    ]
    out += [f"- Checked for each of them: {_cell('; '.join(checked))}."] if checked else []
    out += [f"- {_cell(note)}" for note in _measured(plan)]
    out += [f"- {_cell(sentence)}" for sentence in _further(plan, outlook, unit)]
    if outlook.proposal is not None:
        out += ["", "```yaml", *outlook.proposal.yaml.splitlines(), "```"]
    how = (
        "As it is it is not applied: change `rollout.stages` and plan again, or apply it all the same"
        if plan.undecided
        else "Apply"
    )
    if (applied := outlook.applied(plan)) is not None:
        out += ["", f"Watch it with `inchworm rollout watch {applied.id}`."]
    else:
        out += ["", f"{how} with `inchworm apply {plan.id}{_REASON if plan.undecided else ''}`."]
    if plan.change.reason:
        out[1:1] = ["", f"> {_cell(one_line(plan.change.reason))}"]
    return out


def _opening(plan: Plan) -> str:
    count = len(plan.change.layers)
    said = f"This change moves {counted(count, 'layer')}."
    if plan.via is not None:
        said += f" The way leads over {short(plan.via)}, so that Inchworm can move one at a time."
    elif plan.joint:
        together = [listed([str(layer) for layer in step.layers]) for step in plan.joint]
        said += f" {listed(together)} only work together; everything else moves one at a time."
    elif count > 1:
        said += " Inchworm moves one at a time."
    return said


def _steps(plan: Plan, outlook: Outlook) -> list[list[str]]:
    asking = {one.step: one for one in outlook.benchmarks}
    stages = " · ".join(_stage(one) for one in outlook.stages) or "nobody can say"
    return [
        [
            str(step.number),
            _layers(step),
            step.because,
            _benchmark(asking.get(step.number)),
            stages if step.number == 1 else "the same",
        ]
        for step in plan.steps
    ]


def _benchmark(asking: Asking | None) -> str:
    if asking is None or not asking.calls:
        return "no eval set"
    cost = "" if asking.cost_usd is None else f", ≈ {usd(asking.cost_usd)}"
    return f"{counted(asking.calls, 'call')}{cost}"


def _layers(step: Step) -> str:
    return " + ".join(str(layer) for layer in step.layers)


def _stage(one: StageTime) -> str:
    name = f"shadow {share(one.weight)}" if one.kind is StageKind.SHADOW else share(one.weight)
    cost = f" (≈ {usd(one.cost_usd)})" if one.cost_usd is not None else ""
    if one.takes_part is None:
        return f"{name} unknown: nobody says who takes part{cost}"
    part = "" if one.takes_part == 1.0 else f" (of {share(round(one.takes_part, 3))})"
    return f"{name}{part} {'open' if one.days is None else _days(one.days)}{cost}"


def _days(days: float) -> str:
    return f"{days * 24:.1f} h" if days < 1 else f"{days:,.1f} d"


def _traffic(outlook: Outlook, unit: UnitKind) -> str:
    if not outlook.units_per_day:
        return f"no traffic in {TRAFFIC_DAYS:g} days"
    return f"{outlook.units_per_day:,.0f} {unit.value}s/day"


def _validated(plan: Plan) -> list[str]:
    return [plan.notes[0], *(note for note in plan.notes if note.startswith("Doubt: "))]


def _facts(plan: Plan) -> list[tuple[str, str]]:
    """What was looked at, said once for the steps after which it is the same."""
    said: dict[str, list[Checked]] = {}
    for one in plan.checks:
        if one.facts:
            said.setdefault("; ".join(one.facts), []).append(one)
    return [
        (f"after step{'s' * (len(same) > 1)} {listed([str(one.step) for one in same])}", facts)
        for facts, same in said.items()
    ]


def _corners(plan: Plan) -> list[list[str]]:
    return [[_moved(one), _verdict(one), one_line(one.because)] for one in plan.corners]


def _moved(corner: Corner) -> str:
    parts = [str(layer) for layer in corner.layers] + [f"{layer} (bridge)" for layer in corner.bridged]
    return " + ".join(parts)


def _verdict(corner: Corner) -> str:
    return "not measured" if corner.verdict is None else _VERDICTS[corner.verdict]


def _measured(plan: Plan) -> list[str]:
    known = ("Validated: ", "Checked: ", "Doubt: ")
    return [note for note in plan.notes if not note.startswith(known)]


def _further(plan: Plan, outlook: Outlook, unit: UnitKind) -> list[str]:
    """Everything that is said below the tables, as sentences."""
    found = [_coupled(one, plan) for one in plan.couplings]
    found += _timed(outlook, unit)
    found += [as_sentence(one) for one in outlook.undecided]
    found += list(outlook.conflicts) or ["Nothing else is in flight or queued."]
    found += outlook.retirements
    found += _budget(outlook.budget)
    return found


def _coupled(one: Coupling, plan: Plan) -> str:
    layers = listed([str(layer) for layer in one.layers])
    said = f"Coupled: {layers}, since {_KINDS[one.kind]} ({one_line(one.because).rstrip('.')})."
    if plan.joint:
        corners = (
            "what each does is known from the corners above alone"
            if plan.corners
            else "inchworm plan --measure would tell what each does"
        )
        said += (
            " Moved together they are told apart nowhere in production, and go back together; "
            f"{corners}. Somebody else must approve the step."
        )
    return said


def _timed(outlook: Outlook, unit: UnitKind) -> list[str]:
    """Units of every stage, and what they wait for."""
    parts = []
    for one in outlook.stages:
        what = "pair" if one.kind is StageKind.SHADOW else unit.value
        why = f"until {one.slowest} is decided" if one.needs == one.evidence else "the stage's minimum"
        where = f"shadow {share(one.weight)}" if one.kind is StageKind.SHADOW else share(one.weight)
        parts.append(f"about {counted(one.needs, what)} at {where}, {why}")
    if not parts:
        return []
    days = [one.days for one in outlook.stages]
    total = [one for one in days if one is not None]
    whole = (
        f" About {duration(sum(total) * DAY_S)} per step before the soak." if len(total) == len(days) else ""
    )
    return [f"Expected: {'; '.join(parts)}.{whole}"]


def _budget(budget: tuple[Spent, ...]) -> list[str]:
    if not budget:
        return []
    first = budget[0]
    if not first.rollouts:
        return [f"Loss budget: nothing is spent; nothing moved stable since {when(first.since)}."]
    said = [
        f"{one.metric} {points(one.change)} of {points(-one.margin)} points"
        + (f" ({counted(one.unmeasured, 'rollout')} without a benchmark)" if one.unmeasured else "")
        for one in budget
    ]
    moved = counted(first.rollouts, "rollout")
    return [
        f"Loss budget since {when(first.since)}, {moved}, against {short(first.anchor)}: {'; '.join(said)}."
    ]


def _snippet(outlook: Outlook) -> list[str]:
    if outlook.proposal is None:
        return []
    one = outlook.proposal
    cost = "" if one.shadow_usd is None else f", ≈ {usd(one.shadow_usd)}"
    return [
        *paragraph(
            f"At this traffic pairs say more than units: {one.pairs:,} of them in shadow "
            f"({duration(one.shadow_days * DAY_S)}{cost}), then 50/50 with {one.units:,} units "
            f"({duration(one.split_days * DAY_S)}). For inchworm.yaml:"
        ),
        "",
        *(f"  {line}" for line in one.yaml.splitlines()),
        "",
    ]


def _apply(plan: Plan, outlook: Outlook) -> list[str]:
    if (applied := outlook.applied(plan)) is not None:
        return [f"Watch it: inchworm rollout watch {applied.id}"]
    if not plan.undecided:
        return [f"Apply with: inchworm apply {plan.id}"]
    return [
        "As it is it is not applied: change rollout.stages and plan again.",
        f"To apply it all the same: inchworm apply {plan.id}{_REASON}",
    ]


def _cell(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#@" else char for char in text)
