"""A plan as text and as Markdown."""

from __future__ import annotations

from inchworm.app import differences
from inchworm.app.cli.output import heading, paragraph, table, when
from inchworm.app.loop.changing import Outlook
from inchworm.app.texts import one_line
from inchworm.domain.change import Plan
from inchworm.domain.ids import short
from inchworm.domain.rollout import Lineage, Rollout, UnitKind
from inchworm.domain.wording import counted, share
from inchworm.rollout.forecast import StageTime


def lines(plan: Plan, outlook: Outlook, lineage: Lineage, unit: UnitKind) -> list[str]:
    """The plan for a terminal."""
    moved = plan.change.layers
    since = f'since {when(lineage.since)}, "{one_line(lineage.note)}"'
    many = len(moved) > 1
    out = [
        heading(f"{plan.change.app}   stable {short(lineage.stable)} ({since})"),
        "",
        f"This change moves {counted(len(moved), 'layer')}."
        + (" Inchworm moves one at a time." if many else ""),
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
    for note in plan.notes[:1]:
        out += paragraph(note)
    out += paragraph(_queue(outlook))
    out += paragraph(_undecided(outlook)) if _undecided(outlook) else []
    return [*out, f"Apply with: inchworm apply {plan.id}"]


def markdown(plan: Plan, outlook: Outlook, unit: UnitKind) -> list[str]:
    """The plan for a pull request."""
    moved = ", ".join(f"`{layer}`" for layer in plan.change.layers)
    sides = f"{short(plan.change.base.id)} → {short(plan.change.candidate.id)}"
    out = [
        f"**{plan.id}**: {sides} moves {moved}, one at a time.",
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
        *(f"| {' | '.join(row)} |" for row in _steps(plan, outlook)),
        "",
        *(f"- {note}" for note in plan.notes),
        f"- {_queue(outlook)}",
        "",
        f"Apply with `inchworm apply {plan.id}`.",
    ]
    if plan.change.reason:
        out[1:1] = ["", f"> {_cell(one_line(plan.change.reason))}"]
    return out


def _steps(plan: Plan, outlook: Outlook) -> list[list[str]]:
    calls = outlook.calls // max(len(plan.steps), 1)
    benchmark = "no eval set" if not calls else f"{calls:,} calls"
    if outlook.cost_usd is not None and calls:
        benchmark += f", ≈ {outlook.cost_usd / len(plan.steps):,.2f} USD"
    stages = " · ".join(_stage(one) for one in outlook.stages) or "no traffic to forecast from"
    return [
        [
            str(step.number),
            str(step.layer),
            step.because,
            benchmark,
            stages if step.number == 1 else "the same",
        ]
        for step in plan.steps
    ]


def _stage(one: StageTime) -> str:
    return f"{share(one.weight)} {'open' if one.days is None else _days(one.days)}"


def _days(days: float) -> str:
    return f"{days * 24:.1f} h" if days < 1 else f"{days:,.1f} d"


def _traffic(outlook: Outlook, unit: UnitKind) -> str:
    return f"{outlook.units_per_day:,.0f} {unit.value}s/day" if outlook.units_per_day else "no traffic yet"


def _undecided(outlook: Outlook) -> str:
    open_ = [one for one in outlook.stages if one.days is None]
    if not open_:
        return ""
    stages = f"stage{'s' if len(open_) > 1 else ''} at {' and '.join(share(one.weight) for one in open_)}"
    slowest = ", ".join(dict.fromkeys(one.slowest for one in open_))
    return (
        f"Open: at this traffic the {stages} would end undecided on {slowest}, and then ask you. "
        "More traffic, a longer max_bake or a wider margin would settle it."
    )


def _queue(outlook: Outlook) -> str:
    if outlook.in_flight is None and not outlook.queued:
        return "Nothing else is in flight or queued."
    parts = []
    if outlook.in_flight is not None:
        parts.append(f"{_named(outlook.in_flight)} is in flight")
    if outlook.queued:
        names = ", ".join(_named(one) for one in outlook.queued)
        parts.append(f"{names} {'is' if len(outlook.queued) == 1 else 'are'} queued")
    return f"{'; '.join(parts)}: this change would wait behind, and be re-based."


def _named(rollout: Rollout) -> str:
    return f"{rollout.id} ({rollout.layer})"


def _cell(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#@" else char for char in text)
