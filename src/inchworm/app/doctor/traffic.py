"""From what is stored to findings: interactions, metrics and rollouts. Pure."""

from __future__ import annotations

from inchworm.app.doctor import seen
from inchworm.app.doctor.findings import Finding, note, ok, or_ok, problem, warning
from inchworm.domain.wording import counted, duration

_QUIET_S = 86_400.0
_MANY, _MOST = 0.2, 0.5
_UNAPPLIED = 0.02
_FEW = 20
"""Interactions below which a share says nothing."""


def traffic(one: seen.Traffic, now: float) -> list[Finding]:
    """Stored interactions."""
    if one.last_at is None:
        said = "No interaction is stored yet: send calls to the gateway, or read a file in."
        return [note("traffic", said, "inchworm import FILE.jsonl")]
    quiet = max(0.0, now - one.last_at)
    said = f"Stored: {counted(one.stored, 'interaction')}, the last one {duration(quiet)} ago."
    found = [ok("traffic", said)]
    if quiet > _QUIET_S:
        found = [note("traffic", f"{said} Does your program still call the gateway?", "inchworm traces list")]
    if one.sampled >= _FEW:
        found += _shares(one)
    return found + metrics(one)


def _shares(one: seen.Traffic) -> list[Finding]:
    found: list[Finding] = []
    latest = f"of the latest {one.sampled:,} interactions"
    if one.without_content > _MOST * one.sampled:
        said = (
            f"{_share(one.without_content, one.sampled)} {latest} do not say what was asked, so they cannot "
            "be replayed: turn on the recording of content where they come from."
        )
        found.append(warning("traffic", said))
    if one.errored > _MANY * one.sampled:
        said = f"{_share(one.errored, one.sampled)} {latest} got no answer, by no fault of the configuration."
        found.append(warning("traffic", said, "inchworm traces list --outcome errored"))
    if one.failed > _MANY * one.sampled:
        said = f"{_share(one.failed, one.sampled)} {latest} failed."
        found.append(warning("traffic", said, "inchworm traces list --outcome failed"))
    if one.derived > _MANY * one.sampled and not one.by_request:
        said = (
            f"{_share(one.derived, one.sampled)} {latest} do not name their unit, so conversations are told "
            "apart by their first message: send the header inchworm-unit."
        )
        found.append(note("traffic", said))
    if one.assigned >= _FEW:
        for layer, count in one.unapplied.items():
            if count > _UNAPPLIED * one.assigned:
                said = (
                    f"The {layer} layer could not be applied to {_share(count, one.assigned)} of the latest "
                    f"{one.assigned:,} calls of the rollout in flight: they got another configuration than "
                    "is recorded."
                )
                found.append(warning("traffic", said, "inchworm traces list"))
    return found


def metrics(one: seen.Traffic) -> list[Finding]:
    """Declared metrics that nothing scores."""
    if one.recent < _FEW:
        return []
    return [
        warning(
            "metrics",
            f"{name} has no score on any of the {one.recent:,} interactions of the last 7 days: nothing "
            "can be decided by it. Its check may need a reference, or the metric is newer than they are.",
        )
        for name in one.unscored
    ]


def rollouts(one: seen.Rollouts, now: float) -> list[Finding]:
    """Where changes stand."""
    found = [problem("rollouts", said, "inchworm ledger") for said in one.unlike]
    for rollout in one.waiting:
        waits = duration(max(0.0, now - rollout.since))
        said = f"{rollout.id} is {rollout.state} for {waits} and waits for a person: {rollout.because}"
        found.append(warning("rollouts", said, f"inchworm rollout show {rollout.id}"))
    for name, why in one.failed:
        found.append(warning("rollouts", f"Work {name} failed for good: {why}", "inchworm status"))
    if not one.stable and not found:
        return [note("rollouts", "Nothing is declared as stable yet.", "inchworm adopt")]
    return or_ok(found, "rollouts", "What is served is what is recorded, and nothing waits for a person.")


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"
