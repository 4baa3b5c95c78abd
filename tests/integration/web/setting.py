"""A shop with two days behind it, for the pages: traffic, surrogates, scores, and two changes.

The first change (two documents) was rolled back; the second (another prompt) is in flight at stage two.
Everything went as it does in a server: exposed, drained, decided by the controller.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inchworm.app.clock import SimulatedClock
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop.changing import advance, apply
from inchworm.app.loop.exposing import expose
from inchworm.app.loop.intake import Drain
from inchworm.app.loop.planning import make_plan
from inchworm.app.serve.state import GatewaySeen, Pulse, ServerState
from inchworm.domain.configuration import Configuration
from inchworm.domain.ids import ConfigurationId, TraceId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import Errored, Failed, Ok, Outcome, Score, Scored, Unscored
from inchworm.domain.rollout import Decision, RolloutState
from inchworm.domain.trace import Assignment, Trace, Usage

BEGAN = 1_795_010_400.0
HOUR = 3_600.0
TOKEN = "the-token-of-this-run"
MASTER = bytes(range(32))
GATEWAY = "http://127.0.0.1:4141"

YAML = """\
app: shop-support/production
layers:
  infrastructure: {upstream: openai, timeout_s: 20}
  model: {name: gpt-4.1-mini}
  parameters: {temperature: 0, max_tokens: 400}
  context: {documents: 1}
  prompt: {system: You answer for a shop. Be brief.}
metrics:
  answered: {check: contains_reference, goal: true, margin: 0.12}
  complete: {check: complete, guardrail: true, margin: 0.15}
  latency: {builtin: latency_p95, guardrail: true, margin: 0.15}
rollout:
  stages:
    - {weight: 20%, min_units: 150, min_bake: 1h}
    - {weight: 50%, min_units: 4000, min_bake: 6h}
  soak: 12h
  gate: false
sanitize:
  custom: {ORDER: '\\bA-\\d{6}\\b'}
"""

PEOPLE = ("Anna Keller", "Jonas Weber", "Maria Rossi", "Peter Novak", "Laura Martin", "Tom Becker")
TOPICS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    # topic: what is asked, what is answered, what a right answer contains
    "refund status": (
        (
            "Hello, this is {person}. Where is my refund for {order}? Please write to {mail}.",
            "Your return for {order} arrived and the refund was issued. It takes 3 to 5 working days.",
            "3 to 5 working days",
        ),
        (
            "My refund for {order} was promised last week and nothing came",
            "I am sorry, {order} is refunded within 3 to 5 working days after it arrives with us.",
            "3 to 5 working days",
        ),
    ),
    "delivery date": (
        (
            "When does {order} arrive? You can reach me at {mail}",
            "{order} was handed to the carrier and arrives within two days.",
            "within two days",
        ),
        (
            "Wann kommt meine Lieferung? Bestellung {order}",
            "Die Lieferung von {order} kommt within two days, also übermorgen.",
            "within two days",
        ),
    ),
    "size advice": (
        (
            "The boots in 42 are too small, is 43 the same as EU 43.5?",
            "No: EU 43.5 is half a size larger. Take 43.5 if 42 was tight at the toes.",
            "half a size larger",
        ),
    ),
    "voucher codes": (
        (
            "The code AUTUMN20 says expired, but the mail from {mail} says Sunday",
            "AUTUMN20 is valid until Sunday at midnight, for orders over 50 EUR.",
            "until Sunday",
        ),
    ),
}


@dataclass(slots=True)
class StillPublisher:
    """A publisher whose document never changes; one gateway listens to it."""

    version: str = "5f1d0c"
    document: bytes = b"{}"
    seen: tuple[GatewaySeen, ...] = ()

    async def newer_than(self, version: str | None, *, timeout_s: float) -> bytes | None:
        del timeout_s
        return None if version == self.version else self.document

    def heard_from(self, gateway: GatewaySeen) -> None:
        self.seen = (*(one for one in self.seen if one.name != gateway.name), gateway)

    def gateways(self) -> tuple[GatewaySeen, ...]:
        return self.seen


@dataclass(slots=True)
class Shop:
    """The shop in a folder, with its house open and its clock at hand.

    Attributes:
        house: the shop's Inchworm.
        clock: the house's clock; it stands still but for :meth:`slot`.
        decisions: what the controller decided, oldest first.
    """

    house: House
    clock: SimulatedClock
    decisions: list[Decision] = field(default_factory=list)
    _drain: Drain | None = None
    _sessions: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    @classmethod
    def open(cls, folder: Path) -> Shop:
        """Write the files, open the house, and declare what runs as stable. Nothing has happened yet."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "inchworm.yaml").write_text(YAML, "utf-8")
        clock = SimulatedClock(BEGAN)
        house = House(load(folder / "inchworm.yaml"), clock=clock, actor="ana")
        house.declare_stable()
        return cls(house=house, clock=clock)

    @classmethod
    def with_history(cls, folder: Path) -> Shop:
        """The shop as the pages show it: two days of traffic, r-1 rolled back, r-2 in flight."""
        shop = cls.open(folder)
        for _ in range(2):
            shop.slot(60, 4 * HOUR)
        shop.change(Layer.CONTEXT, {"documents": 2})
        while any(one.state is not RolloutState.ROLLED_BACK for one in shop.rollouts()):
            shop.slot(120, HOUR)
            assert len(shop.decisions) < 20
        shop.slot(60, 4 * HOUR)
        prompt = shop.house.spec.configuration.layer(Layer.PROMPT)
        shop.change(Layer.PROMPT, {**prompt, "system": "You answer for a shop. Name the number of days."})
        while shop.rollouts()[-1].stage < 1:
            shop.slot(120, HOUR)
            assert shop.clock.at < BEGAN + 60 * 24 * HOUR
        for _ in range(4):
            shop.slot(120, HOUR)
        return shop

    def again(self, seed: int) -> None:
        """Draw what is asked and answered from here on as after ``seed``: the same input twice."""
        self._random = random.Random(seed)

    def rollouts(self) -> list[Any]:
        """All rollouts, by number."""
        return sorted(
            self.house.control.rollouts(self.house.app), key=lambda one: int(one.id.rpartition("-")[2])
        )

    def change(self, layer: Layer, values: dict[str, Any]) -> None:
        """Plan and apply one layer, and start it."""
        declared = self.house.control.configuration(self.house.lineage().stable)
        plan = make_plan(self.house, declared.with_layer(layer, values))
        # Its second stage asks for more sessions than its quiet days bring, so that it stays in flight.
        apply(self.house, plan.id, undecided_because="a page shows it")
        self.round()

    def round(self) -> None:
        """The control loop until it has nothing more to say."""
        while made := advance(self.house, owner="loop"):
            self.decisions += made

    def slot(self, sessions: int, seconds: float) -> None:
        """Customers come, are exposed, answered and drained; the clock moves; the loop decides."""
        first, self._sessions = self._sessions, self._sessions + sessions
        units = [
            (UnitId(f"s-{n}"), self.clock.at + (n - first) * seconds / sessions)
            for n in range(first, first + sessions)
        ]
        resolved = expose(self.house, units)
        known: dict[ConfigurationId, Configuration] = {}
        for one in resolved:
            if one.configuration_id not in known:
                known[one.configuration_id] = self.house.control.configuration(one.configuration_id)
        self.take(
            [
                self.trace(n, unit, at, known[one.configuration_id], one.assignment)
                for n, (unit, at), one in zip(itertools.count(first), units, resolved, strict=False)
            ]
        )
        self.clock.at += seconds
        self.round()

    def take(self, traces: Sequence[Trace]) -> None:
        """Through one drain, as a server has it."""
        if self._drain is None:
            self._drain = Drain(self.house)
        intake = self._drain.take(traces)
        assert not intake.refused
        named = {trace.id: trace.attributes["topic"] for trace in traces if "topic" in trace.attributes}
        self.house.traces.set_clusters(self.house.app, named)

    def trace(
        self, number: int, unit: UnitId, at: float, by: Configuration, assignment: Assignment | None
    ) -> Trace:
        """What session ``number`` asked and got. With two documents every other answer is wrong."""
        draw = self._random
        topic = draw.choices(list(TOPICS), (5, 4, 2, 2))[0]
        asked, said, reference = draw.choice(TOPICS[topic])
        person = draw.choice(PEOPLE)
        words = {
            "person": person,
            "order": f"A-{draw.randrange(100_000, 999_999)}",
            "mail": f"{person.lower().replace(' ', '.')}@example.com",
        }
        two = by.layer(Layer.CONTEXT)["documents"] == 2
        wrong = draw.random() < (0.5 if two else 0.08)
        outcome: Outcome = Ok()
        output: str | None = "Please see our help centre." if wrong else said.format(**words)
        if draw.random() < 0.015:
            outcome, output = Failed(reason="the answer took longer than 20 s"), None
        elif draw.random() < 0.01:
            outcome, output = Errored(reason="the provider answered 503"), None
        helpful = Scored(value=round(draw.betavariate(2, 4) if wrong else draw.betavariate(6, 2), 2))
        scores = [Score(metric="helpful", result=helpful, source="judge:helpful@3", at=at + 60)]
        if number % 9 == 0:
            scores.append(Score(metric="helpful", result=Scored(value=0.0), source="user", at=at + 90))
        if number % 17 == 0:
            abstained = Unscored(reason="the judge abstained")
            scores = [Score(metric="helpful", result=abstained, source="judge:helpful@3", at=at + 60)]
        return Trace(
            id=TraceId(f"tr-{number:06d}"),
            app=self.house.app,
            at=at,
            unit_id=unit,
            configuration_id=by.id,
            assignment=assignment,
            inputs=_asked(asked.format(**words), words["order"], number),
            output=output,
            outcome=outcome,
            finish_reason=None if output is None else "length" if draw.random() < 0.03 else "stop",
            latency_ms=None if output is None else round(draw.lognormvariate(7.2, 0.5), 1),
            usage=Usage(input_tokens=draw.randrange(300, 1400), output_tokens=draw.randrange(20, 220))
            if number % 5 == 0
            else Usage(
                input_tokens=draw.randrange(300, 1400),
                output_tokens=draw.randrange(20, 220),
                cost_usd=round(draw.uniform(0.0004, 0.004), 6),
            ),
            reference=reference,
            scores=tuple(scores),
            attributes={
                "topic": topic,
                "gen_ai.request.model": "gpt-4.1-mini",
                "gen_ai.response.id": f"c-{number}",
            },
        )

    def state(self) -> ServerState:
        """What a server of this house shares with its routes."""
        publisher = StillPublisher()
        publisher.heard_from(
            GatewaySeen(name="main", url=GATEWAY, holds=publisher.version, at=self.house.now() - 1)
        )
        return ServerState(
            house=self.house,
            publisher=publisher,
            pulse=Pulse(),
            wake=lambda: None,
            gateway_url=GATEWAY,
            master=MASTER,
            local_token=TOKEN,
        )


def _asked(question: str, order: str, number: int) -> dict[str, Any]:
    """Inputs as a gateway stores them; every seventh conversation has a tool in it, every fifth a history."""
    messages: list[dict[str, Any]] = [{"role": "system", "content": "You answer for a shop. Be brief."}]
    if number % 5 == 0:
        messages += [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello! What can I do for you?"},
        ]
    messages.append({"role": "user", "content": question})
    if number % 7 == 0:
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": "find_order", "arguments": f'{{"order": "{order}"}}'},
        }
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {
                "role": "tool",
                "tool_call_id": "call_1",
                "content": f'{{"order": "{order}", "state": "shipped"}}',
            },
        ]
    return {"messages": messages}
