"""The story of the demo, chapter by chapter. Every figure is computed; nothing is scripted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO

from inchworm.app.demo.ending import bundle_at_once, feed_back, summarize
from inchworm.app.demo.setting import WEEK, tuesday, write_down
from inchworm.app.demo.shop import messages
from inchworm.app.demo.stage import Stage
from inchworm.app.demo.tell import Teller, moment
from inchworm.app.house import House
from inchworm.app.loop.changing import apply
from inchworm.app.loop.intake import Drain, Intake
from inchworm.app.loop.measuring import build_eval_set
from inchworm.app.loop.planning import make_plan
from inchworm.app.loop.sampling import MAIN
from inchworm.app.loop.topics import Picture, fit
from inchworm.capture.dialects.trace_1 import to_json
from inchworm.capture.importers import read
from inchworm.domain.benchmark import Benchmark
from inchworm.domain.change import Plan
from inchworm.domain.errors import InputError
from inchworm.domain.ids import RolloutId
from inchworm.domain.rollout import Decision, DecisionKind, Rollout, RolloutState
from inchworm.domain.serving import Resolved
from inchworm.domain.trace import Trace
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import interval, percent
from inchworm.label.clusters import PassRate

TUESDAY = 1_794_319_200.0
"""Tuesday 10 November 2026, 14:00 UTC: the pull request lands, whatever day it is outside."""
PER_DAY = 24_000
GRABBED = 6_000
LOOSE = 15.0
"""The gate margin factor of the team that does not believe its gate."""


@dataclass(slots=True, kw_only=True)
class Story:
    """The chapters, in order. Each looks first at what is there already."""

    stage: Stage
    tell: Teller

    @property
    def house(self) -> House:
        """The shop's Inchworm."""
        return self.stage.house

    def tell_all(self) -> RolloutId:
        """All chapters; the rollout that is worth looking at."""
        house = self.house
        house.declare_stable()
        self.grab_and_sanitize()
        self.label()
        self.benchmark()
        self.stage.resume()
        plan = self.plan()
        self.deploy(plan)
        insisted = self.insist(plan)
        stable = house.control.configuration(house.lineage().stable)
        write_down(house.spec.file, plan.change.base.moved(stable))
        bundle = bundle_at_once(self.stage, self.tell, plan)
        fed = feed_back(self.stage, self.tell, plan=plan, insisted=insisted)
        summarize(self.stage, self.tell, plan=plan, insisted=insisted, bundle=bundle, fed=fed)
        return self._of(plan)[-1].id if insisted is None else insisted.id

    def grab_and_sanitize(self) -> None:
        """Chapters 1 and 2."""
        self.tell.chapter(1, "Grab", "production data, as the shop's application logged it")
        house = self.house
        intake = Drain(house).take(self._logged())
        self.tell.say(
            f"{house.traces.count(house.app):,} sessions of the last days are stored "
            f"({intake.new:,} new, {intake.duplicate:,} known already)."
        )
        self.tell.chapter(2, "Sanitize", "personal data and secrets out, before anything is stored")
        self._sanitized(intake)

    def _logged(self) -> Iterator[Trace]:
        """The log of the shop: JSON Lines, read by the importer like any other file."""
        house, traffic = self.house, self.stage.traffic
        stable = house.control.configuration(house.lineage().stable)
        first = house.control.configurations(house.app)[-1].configuration
        sessions = traffic.sessions(0, GRABBED)
        served = [Resolved(configuration_id=first.id, assignment=None)] * len(sessions)
        traces = traffic.traces(house.app, sessions, served, {first.id: first, stable.id: stable})
        log = BytesIO("".join(f"{to_json(trace)}\n" for trace in traces).encode())
        for item in read(log, app=house.app, default_at=TUESDAY):
            if not isinstance(item, Trace):
                raise InputError(f"line {item.line} of the shop's log was refused: {item.reason}")
            yield item

    def _sanitized(self, intake: Intake) -> None:
        kinds = sorted(intake.report.by_kind.items(), key=lambda item: (-item[1], item[0]))
        self.tell.say(
            f"{intake.sanitized:,} of {intake.new + intake.duplicate:,} sessions held personal data: "
            + ", ".join(f"{count:,} {kind.lower()}" for kind, count in kinds)
            + "."
        )
        raw = {message.text for message in messages()[: self.stage.traffic.pool]}
        clean = {str(trace.inputs["question"]) for trace in self._stored()}
        personal = raw - clean
        example = min((text for text in clean - raw), key=len, default="")
        left = sum(text in clean for text in personal)
        self.tell.say(
            f"Stored as, for example: “{example}” Of {len(personal):,} different messages with "
            f"personal data, {left:,} stand in the store as they were written."
        )

    def _stored(self) -> Iterator[Trace]:
        for batch in self.house.traces.iterate(self.house.app):
            yield from (trace for trace in batch if trace.has_content)

    def label(self) -> None:
        """Chapter 3."""
        self.tell.chapter(3, "Label", "what customers ask about, and how well it is answered")
        picture = fit(self.house)
        self._topics(picture)

    def _topics(self, picture: Picture) -> None:
        rated = [(topic.quality, topic) for topic in picture.topics if isinstance(topic.quality, PassRate)]
        shown = sorted(rated, key=lambda pair: (pair[0].rate, pair[1].cluster.name))
        worst, best = shown[:5], shown[-3:]
        self.tell.say(
            f"{len(picture.topics)} topics; the five that struggle most, and the three that do best:"
        )
        self.tell.table(
            ["topic", "sessions", f"{picture.metric} (95 %)"],
            [
                [
                    topic.cluster.name,
                    f"{topic.messages:,}",
                    f"{percent(rate.rate)} ({percent(rate.low)} … {percent(rate.high)})",
                ]
                for rate, topic in (*worst, *best)
            ],
        )
        self.tell.say(f"{len(picture.oddities)} messages fit nothing. The three oddest:")
        for oddity in picture.oddities[:3]:
            self.tell.say(f"“{oddity.text[:52]}”: {oddity.anomaly.reasons[0]}", style="dim")

    def benchmark(self) -> None:
        """Chapter 4."""
        self.tell.chapter(4, "Benchmark", "an eval set is drawn from the traffic")
        house = self.house
        known = {summary.name for summary in house.control.eval_sets(house.app)}
        for name, size, seed in ((MAIN, 450, 1), (WEEK, 600, 2)):
            if name not in known:
                build_eval_set(house, name=name, size=size, seed=seed)
        eval_set = house.control.eval_set(house.app, MAIN, 1)
        scored = sum(case.reference is not None for case in eval_set.cases)
        self.tell.say(
            f"{eval_set.id}: {len(eval_set.cases):,} cases from {len(eval_set.shares)} topics, weighted to "
            f"production; {scored:,} have a right answer to check against."
        )
        self.tell.say(f"It stands for {eval_set.population}", style="dim")

    def plan(self) -> Plan:
        """Chapter 5, first half: the bundle is taken apart."""
        self.tell.chapter(5, "Deploy", "the Tuesday pull request moves three layers at once")
        house = self.house
        plans = house.control.plans(house.app)
        plan = (
            min(plans, key=lambda one: -len(one.steps))
            if plans
            else make_plan(house, tuesday(house.control.configuration(house.lineage().stable)))
        )
        for item in plan.diffs:
            old, new = (str(side) for side in (item.old, item.new))
            shown = f"{old} → {new}" if len(old) + len(new) < 60 else "examples answer in whole sentences"
            self.tell.say(f"{item.layer:<11} {'.'.join(item.path):<11} {shown}")
        self.tell.say(
            f"Inchworm moves one layer at a time: {plan.id} takes it apart into {len(plan.steps)} steps, "
            f"{', then '.join(step.layer for step in plan.steps)}. {plan.notes[0]}"
        )
        return plan

    def deploy(self, plan: Plan) -> None:
        """Chapter 5, second half: each step is benchmarked and canaried."""
        house = self.house
        mine = self._of(plan)
        if not mine:
            mine = list(apply(house, plan.id))
        self._recall(mine)
        self.stage.play([rollout.id for rollout in mine])
        self.tell.say()
        self.tell.table(
            ["step", "ended", "seen by", "of sessions"],
            [
                [
                    f"{one.id} {one.layer}",
                    one.state.value.replace("_", " "),
                    f"{candidate:,}",
                    f"{everyone:,}",
                ]
                for one in self._of(plan)
                for candidate, everyone in (self.stage.seen(one),)
            ],
            left=2,
        )

    def insist(self, plan: Plan) -> Rollout | None:
        """The rejected step again, with the gate's margin loosened, so that only the canary can stop it."""
        house = self.house
        rejected = [rollout for rollout in self._of(plan) if rollout.state is RolloutState.REJECTED]
        if not rejected:
            self.tell.say("The gate has rejected nothing, so there is nothing to insist upon.")
            return None
        layer = rejected[0].layer
        self.tell.say()
        self.tell.say(
            f"The team does not believe its gate, loosens its margins {LOOSE:g}-fold and applies the "
            f"{layer} step once more:"
        )
        again = [one for one in house.control.rollouts(house.app) if one.plan_id != plan.id]
        if not again:
            stable = house.control.configuration(house.lineage().stable)
            wanted = stable.with_layer(layer, plan.change.candidate.layer(layer))
            loose = replace(house.spec, policy=replace(house.spec.policy, gate_margin_factor=LOOSE))
            strict, house.spec = house.spec, loose
            again = list(apply(house, make_plan(house, wanted, reason="more documents must be better").id))
            house.spec = strict
        self._recall(again)
        self.stage.play([rollout.id for rollout in again])
        ended = house.control.rollout(again[0].id)
        candidate, everyone = self.stage.seen(ended)
        minutes = ((ended.ended_at or ended.entered_at) - (ended.started_at or ended.entered_at)) / 60
        self.tell.say(
            f"It ran for {minutes:,.0f} minutes: {candidate:,} of {everyone:,} sessions saw it, "
            f"{PER_DAY:,} a day did not.",
            style="bold",
        )
        return ended

    def _recall(self, rollouts: list[Rollout]) -> None:
        """Say again what was decided before this demo was stopped."""
        for rollout in rollouts:
            for decision in self.house.control.decisions(rollout.id):
                self.stage.heard(decision)

    def _of(self, plan: Plan) -> list[Rollout]:
        rollouts = self.house.control.rollouts(self.house.app)
        return [rollout for rollout in rollouts if rollout.plan_id == plan.id]


def hear(tell: Teller, house: House, decision: Decision) -> None:
    """Say a decision when it is made, under the benchmark that it rests on."""
    rollout = house.control.rollout(decision.rollout_id)
    if decision.kind is DecisionKind.START:
        tell.say()
        tell.say(f"{rollout.id} · step {rollout.step} of {rollout.steps} · {rollout.layer}", style="bold")
    gated = decision.kind in {DecisionKind.EXPOSE, DecisionKind.REJECT}
    if gated and rollout.benchmark_id is not None:
        _measured(tell, house.control.benchmark(rollout.benchmark_id))
    tell.entry(moment(decision.at), f"{decision.because[:1].upper()}{decision.because[1:]}")


def _measured(tell: Teller, benchmark: Benchmark) -> None:
    tell.benchmark(benchmark)
    losing = [effect for effect in benchmark.clusters if effect.worse]
    if benchmark.verdict is Verdict.FAIL and losing:
        worst = min(losing, key=lambda effect: effect.effect.estimate)
        tell.say(f"worst topic: {worst.cluster}, {interval(worst.effect)}", style="dim")
