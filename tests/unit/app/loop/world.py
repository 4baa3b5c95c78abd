"""A small shop made up for the use cases: its files, its customers, what its model was recorded to say."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from inchworm.app.clock import SimulatedClock
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop.changing import advance
from inchworm.app.loop.evidence import StoredUnits
from inchworm.app.loop.exposing import expose
from inchworm.app.loop.intake import Drain, Intake
from inchworm.domain.configuration import Configuration
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import Ok
from inchworm.domain.rendering import render
from inchworm.domain.rollout import Decision
from inchworm.domain.serving import Resolved
from inchworm.domain.trace import Arm, Assignment, Trace, Usage
from inchworm.providers.recorded import Header, Recording
from inchworm.providers.upstream import Completion
from inchworm.rollout.controller import tick, verify_served
from inchworm.rollout.gating import WorkBenchmarks

NOW = 1_790_000_000.0
HOUR, DAY = 3_600.0, 86_400.0

SAID = {
    "parcel": "Where is my parcel with the {thing} that was shipped",
    "return": "How can the broken {thing} be sent back for a refund",
    "opening": "Until when is the {thing} department open on Sunday",
}
THINGS = (
    "tent stove lamp rope boots jacket bottle map compass kettle knife helmet "
    "gloves socks poles mat axe whistle towel flask"
).split()

YAML = """\
app: small-shop/production
recording: answers.jsonl.gz
layers:
  infrastructure: {{upstream: recorded, timeout_s: 20}}
  model: {{name: tiny}}
  parameters: {{temperature: 0, max_tokens: 64}}
  context: {{documents: 1}}
  prompt: {{system: Be brief., user: "{{question}} {{documents}}"}}
metrics:
  answered: {{check: contains_reference, goal: true, margin: 0.2}}
  latency: {{builtin: latency_p95, guardrail: true, margin: 0.2}}
rollout:
  stages:
    - {{weight: 20%, min_units: 100, min_bake: 1h}}
    - {{weight: 50%, min_units: 100, min_bake: 1h, max_bake: 7d}}
  soak: 2h
  gate_margin_factor: {gate_margin_factor}
{extra}"""


def questions() -> list[tuple[dict[str, Any], str]]:
    """Sixty inputs over three topics, each with its reference."""
    found = []
    for topic, thing in itertools.product(SAID, THINGS):
        inputs = {
            "question": f"{SAID[topic].format(thing=thing)}?",
            "documents": [f"The {topic} of the {thing} is due.", f"Something else about the {thing}."],
        }
        found.append((inputs, f"{thing} {topic} due"))
    return found


def answer(configuration: Configuration, number: int) -> Completion:
    """What the model says to question ``number``: with two documents every other answer is wrong."""
    _, reference = questions()[number]
    two = configuration.layer(Layer.CONTEXT)["documents"] == 2
    wrong = number % 10 == 0 or (two and number % 2 == 0)
    return Completion(
        text="No idea." if wrong else f"It is {reference}.",
        finish_reason="stop",
        latency_ms=80.0 + number,
        usage=Usage(input_tokens=50, output_tokens=5),
    )


@dataclass(slots=True)
class CountingUpstream:
    """A recording that counts how often it is asked."""

    recording: Recording
    asked: int = 0

    async def complete(self, request: Any, *, sample: int) -> Any:
        self.asked += 1
        return await self.recording.complete(request, sample=sample)

    async def close(self) -> None:
        """Nothing is held open."""


@dataclass(slots=True)
class World:
    """The shop in a folder, with its house open and its clock at hand."""

    folder: Path
    house: House
    clock: SimulatedClock
    _drain: Drain | None = None
    _sessions: int = 0
    decisions: list[Decision] = field(default_factory=list)

    @classmethod
    def build(cls, folder: Path, *, gate_margin_factor: float = 1, extra: str = "") -> World:
        """Write the files, open the house, and declare what runs as stable."""
        folder.mkdir(parents=True, exist_ok=True)
        text = YAML.format(gate_margin_factor=gate_margin_factor, extra=extra)
        (folder / "inchworm.yaml").write_text(text, "utf-8")
        clock = SimulatedClock(NOW)
        house = House(load(folder / "inchworm.yaml"), clock=clock, actor="ana")
        world = cls(folder=folder, house=house, clock=clock)
        world.record(*world.reachable())
        house.declare_stable()
        return world

    def reopen(self) -> None:
        """The process ends, another one begins."""
        self.house.close()
        self.house = House(self.house.spec, clock=self.clock, actor="ana")
        self._drain = None

    @property
    def stable(self) -> Configuration:
        """What is stable now."""
        return self.house.control.configuration(self.house.lineage().stable)

    def wanted(self, *layers: Layer) -> Configuration:
        """What is declared with shorter answers, two documents and another prompt; or these layers of it.

        With two documents half of the answers become wrong; the rest changes nothing.
        """
        declared = self.house.spec.configuration
        bundle = (
            declared.with_layer(Layer.PARAMETERS, declared.layer(Layer.PARAMETERS) | {"max_tokens": 32})
            .with_layer(Layer.CONTEXT, {"documents": 2})
            .with_layer(Layer.PROMPT, declared.layer(Layer.PROMPT) | {"system": "Be very brief."})
        )
        return declared.with_layers_of(bundle, layers) if layers else bundle

    def reachable(self) -> list[Configuration]:
        """Every combination of the three layers that may move."""
        three = (Layer.PARAMETERS, Layer.CONTEXT, Layer.PROMPT)
        declared, bundle = self.house.spec.configuration, self.wanted()
        return [
            declared.with_layers_of(bundle, layers)
            for count in range(4)
            for layers in itertools.combinations(three, count)
        ]

    def record(self, *configurations: Configuration) -> Recording:
        """Write what ``upstream: recorded`` answers from, and hand it back."""
        recording = recorded(configurations)
        recording.write(self.folder / "answers.jsonl.gz")
        return recording

    def history(self, count: int = 300, *, days: float = 3.0) -> Intake:
        """Stored traffic of the days before now, answered by what is stable."""
        traces, stable = [], self.stable
        for n in range(count):
            at = self.clock.at - days * DAY * (1 - n / count)
            traces.append(self.trace(n % 60, f"h-{n}", at=at, answered_by=stable))
        return self.take(traces)

    def trace(
        self,
        number: int,
        name: str,
        *,
        at: float | None = None,
        answered_by: Configuration | None = None,
        assignment: Assignment | None = None,
        **changes: Any,
    ) -> Trace:
        """One interaction about question ``number``; unit and trace are called by ``name``."""
        configuration = self.house.spec.configuration if answered_by is None else answered_by
        inputs, reference = questions()[number]
        said = answer(configuration, number)
        given: dict[str, Any] = {
            "id": TraceId(f"t-{name}"),
            "app": self.house.app,
            "at": self.clock.at if at is None else at,
            "unit_id": UnitId(name),
            "configuration_id": configuration.id,
            "assignment": assignment,
            "inputs": inputs,
            "output": said.text,
            "outcome": Ok(),
            "finish_reason": said.finish_reason,
            "latency_ms": said.latency_ms,
            "usage": said.usage,
            "reference": reference,
        }
        return Trace(**(given | changes))

    def take(self, traces: Sequence[Trace]) -> Intake:
        """Through one drain that lives as long as the process."""
        if self._drain is None:
            self._drain = Drain(self.house)
        return self._drain.take(traces)

    def stored(self) -> list[Trace]:
        """Every stored interaction, oldest first."""
        return [trace for batch in self.house.traces.iterate(self.house.app) for trace in batch]

    def slot(self, sessions: int = 200, seconds: float = HOUR / 2) -> list[Resolved]:
        """Customers come, are assigned, answered and taken in; then the clock has moved."""
        first, self._sessions = self._sessions, self._sessions + sessions
        units = [
            (UnitId(f"s-{n}"), self.clock.at + (n - first) * seconds / sessions)
            for n in range(first, first + sessions)
        ]
        resolved = expose(self.house, units)
        known = {one.configuration_id for one in resolved}
        configurations = {one: self.house.control.configuration(one) for one in known}
        # What session n asks follows from n alone.
        asked = [int(np.random.default_rng([5, n]).integers(60)) for n in range(first, first + sessions)]
        self.take(
            [
                self.trace(
                    number,
                    unit,
                    at=at,
                    answered_by=configurations[one.configuration_id],
                    assignment=one.assignment,
                )
                for number, (unit, at), one in zip(asked, units, resolved, strict=True)
            ]
        )
        self.clock.at += seconds
        return resolved

    def round_once(self) -> list[Decision]:
        """What one tick decides, without working anything off."""
        house = self.house
        return tick(house.control, StoredUnits(house), WorkBenchmarks(house.control), house.now(), house.app)

    def round(self) -> list[Decision]:
        """The control loop until it has nothing more to say; what is served is checked each time."""
        made: list[Decision] = []
        while some := advance(self.house, owner="loop"):
            assert verify_served(self.house.control, self.house.app) == ()
            made += some
        assert verify_served(self.house.control, self.house.app) == ()
        self.decisions += made
        return made


@cache
def recorded(configurations: tuple[Configuration, ...]) -> Recording:
    """What the model says to every question under each of these."""
    answers = {
        render(configuration, inputs).digest(): (answer(configuration, number),)
        for configuration in configurations
        for number, (inputs, _) in enumerate(questions())
    }
    header = Header(model="tiny", recorded_at="2026-11-22T00:00:00Z", machine="none", note="by a test")
    return Recording(header=header, answers=answers)


def assigned(rollout: str = "r-1", arm: Arm = Arm.BASELINE, *, stage: int = 0, p: float = 0.2) -> Assignment:
    """What a trace says of its exposure."""
    return Assignment(rollout_id=RolloutId(rollout), stage=stage, arm=arm, probability=p)
