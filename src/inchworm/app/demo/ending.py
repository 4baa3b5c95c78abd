"""The end of the story: what the bundle would have done, who did it, and what is different now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.app.demo.setting import WEEK, livelier
from inchworm.app.demo.stage import Stage
from inchworm.app.demo.tell import Teller
from inchworm.app.demo.traffic import Session
from inchworm.app.loop.attributing import Findings, attribute, propose_failures
from inchworm.app.loop.measuring import accept, compare
from inchworm.app.loop.sampling import MAIN
from inchworm.domain.benchmark import Benchmark
from inchworm.domain.change import Plan, diff
from inchworm.domain.configuration import Configuration
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.outcome import Scored
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.domain.serving import Resolved
from inchworm.domain.wording import interval, percent, points
from inchworm.evaluators.score import score_trace


@dataclass(frozen=True, slots=True, kw_only=True)
class AtOnce:
    """A day of the bundle for everybody, beside the same day on what was stable.

    Attributes:
        sessions: sessions of that day that can be scored.
        before: share answered right on what was stable.
        after: share answered right with the bundle.
        lost: sessions that were answered right before and are not with it.
        gained: the other way round.
    """

    sessions: int
    before: float
    after: float
    lost: int
    gained: int


def bundle_at_once(stage: Stage, tell: Teller, plan: Plan) -> AtOnce:
    """Answer one day's customers under both configurations; this is asked of the recording, not served."""
    per_day = stage.traffic.per_day
    first = stage.traffic.number_at(stage.house.control.ledger(stage.house.app, limit=10_000)[-1].at)
    sessions = stage.traffic.sessions(first, per_day)
    before = _answered(stage, sessions, plan.change.base)
    after = _answered(stage, sessions, plan.change.candidate)
    both = [(old, new) for old, new in zip(before, after, strict=True) if old is not None and new is not None]
    found = AtOnce(
        sessions=len(both),
        before=sum(old for old, _ in both) / len(both),
        after=sum(new for _, new in both) / len(both),
        lost=sum(old > new for old, new in both),
        gained=sum(new > old for old, new in both),
    )
    tell.say()
    tell.say(
        f"And the bundle shipped at once? The same customers of one day, asked of both: answered right "
        f"{percent(found.before)} → {percent(found.after)} ({points(found.after - found.before)} points). "
        f"{found.lost:,} of {found.sessions:,} sessions lose a right answer every day and {found.gained:,} "
        f"gain one; which of the three layers did it, nobody could say."
    )
    return found


def _answered(stage: Stage, sessions: Sequence[Session], configuration: Configuration) -> list[float | None]:
    house = stage.house
    goal = [metric for metric in house.spec.metrics if metric.role == "goal"][:1]
    served = [Resolved(configuration_id=configuration.id, assignment=None)] * len(sessions)
    known: dict[ConfigurationId, Configuration] = {configuration.id: configuration}
    values: list[float | None] = []
    remembered: dict[int, float | None] = {}
    for session, trace in zip(
        sessions, stage.traffic.traces(house.app, sessions, served, known), strict=True
    ):
        if session.message not in remembered:
            results = score_trace(goal, trace)
            result = results[goal[0].name]
            remembered[session.message] = result.value if isinstance(result, Scored) else None
        values.append(remembered[session.message])
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """What was fed back."""

    findings: Findings
    admitted: int
    eval_set: str
    following: Benchmark


def feed_back(stage: Stage, tell: Teller, *, plan: Plan, insisted: Rollout | None) -> Fed:
    """Chapter 6: who did it, the failures as cases, and the next change measured against the winner."""
    tell.chapter(6, "Feed back", "every combination of the three layers is measured; the culprit gets a name")
    house = stage.house
    week = house.control.eval_set(house.app, WEEK, 1)
    findings = attribute(house, plan.change.base, plan.change.candidate, eval_set=week)
    found = findings.attribution
    tell.say(
        f"{found.metric} {percent(found.corners[0].mean)} → {percent(found.corners[-1].mean)}: "
        f"{interval(found.total)}; {found.cases:,} cases in {len(found.corners)} cells, "
        f"{found.trials:,} trials"
    )
    tell.table(
        ["layer", "points", "95 % interval", ""],
        [
            [
                " × ".join(item.layers),
                points(item.effect.estimate),
                f"{points(item.effect.low)} … {points(item.effect.high)}",
                "named" if item.named else "nothing measurable",
            ]
            for item in found.contributions
        ],
    )
    ship = " and ".join(found.ship.moved) or "nothing"
    tell.say(f"Ship today: {ship}, {interval(found.ship.effect)}.")
    admitted = 0
    seen = () if insisted is None else propose_failures(house, insisted.id)
    for proposal in (*findings.proposals, *seen):
        tell.say(f"{proposal.because}.")
        admitted += accept(house, proposal.id)[1]
    latest = house.control.eval_set(house.app, MAIN)
    if admitted:
        tell.say(
            f"Accepted: {latest.id} has {len(latest.cases):,} cases now, {admitted:,} of them new, and each "
            f"remembers where it came from."
        )
    else:
        tell.say(f"{latest.id} has every case of them already: {len(latest.cases):,} in all.")
    return Fed(
        findings=findings,
        admitted=admitted,
        eval_set=latest.id,
        following=_next(stage, tell, latest.id),
    )


def _next(stage: Stage, tell: Teller, eval_set: str) -> Benchmark:
    """The next change is measured against the new stable."""
    house = stage.house
    stable = house.control.configuration(house.lineage().stable)
    wanted = livelier(stable)
    tell.say()
    moved = ", ".join(f"{'.'.join(item.path)} {item.old} → {item.new}" for item in diff(stable, wanted))
    tell.say(f"The next change, {moved}, is measured against the winner on {eval_set}:")
    benchmark = compare(house, stable, wanted, eval_set=house.control.eval_set(house.app, MAIN))
    tell.benchmark(benchmark)
    return benchmark


def summarize(
    stage: Stage, tell: Teller, *, plan: Plan, insisted: Rollout | None, bundle: AtOnce, fed: Fed
) -> None:
    """What a person would show a colleague."""
    house = stage.house
    mine = [rollout for rollout in house.control.rollouts(house.app) if rollout.plan_id == plan.id]
    named = [item for item in fed.findings.attribution.contributions if item.named]
    culprits = [item for item in named if item.effect.high < 0]
    won = [rollout for rollout in mine if rollout.state is RolloutState.COMPLETED]
    corners = {corner.configuration_id: corner for corner in fed.findings.attribution.corners}
    stable = corners.get(house.lineage().stable)
    tell.console.print()
    tell.console.print("[bold]In short[/]")
    tell.say(
        f"• Shipped at once: {percent(bundle.before)} → {percent(bundle.after)} answered right, for "
        f"everybody, with three suspects."
    )
    moved = " and ".join(rollout.layer for rollout in won) or "nothing"
    if stable is not None:
        tell.say(
            f"• One layer at a time: {percent(fed.findings.attribution.corners[0].mean)} → "
            f"{percent(stable.mean)} ({interval(stable.effect)} on {fed.findings.attribution.eval_set}); "
            f"{moved} moved, on evidence."
        )
    for item in culprits:
        tell.say(f"• Named: {' × '.join(item.layers)}, {interval(item.effect)}.")
    if insisted is not None:
        candidate, everyone = stage.seen(insisted)
        tell.say(
            f"• {insisted.layer}: stopped by the gate before anybody saw it; insisted upon, it was "
            f"{insisted.state.value.replace('_', ' ')} after {candidate:,} of {everyone:,} sessions."
        )
    cases = f"{fed.admitted:,} failures are cases now" if fed.admitted else "The failures are cases already"
    tell.say(f"• {cases}; the next change has to pass them.")
    tell.say()
    tell.say(
        f"Everything is in {house.spec.data.parent}: try inchworm --file {house.spec.file} status, "
        f"rollout show {mine[-1].id if insisted is None else insisted.id}, ledger",
        style="dim",
    )
