"""Small domain values that the tests of the store are told with."""

from dataclasses import replace
from typing import Any

from inchworm.domain.benchmark import Benchmark
from inchworm.domain.change import Change, Plan, Step, diff
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import (
    BenchmarkId,
    CaseId,
    ConfigurationId,
    DecisionId,
    EvalSetId,
    PlanId,
    RolloutId,
    TraceId,
    UnitId,
    WorkId,
)
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.outcome import Ok, Score, Scored
from inchworm.domain.rollout import (
    Decision,
    DecisionKind,
    LedgerEntry,
    Lineage,
    Policy,
    Rollout,
    RolloutState,
)
from inchworm.domain.serving import ServingTable
from inchworm.domain.trace import Arm, Assignment, Exposure, Trace, Usage
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkItem

APP = AppRef(app="shop", environment="production")
OTHER = AppRef(app="shop", environment="staging")
BASE = Configuration.of({"model": {"name": "a"}, "prompt": {"user": "{question}"}})
CANDIDATE = BASE.with_layer(Layer.MODEL, {"name": "b"})


def plan(app: AppRef = APP, name: str = "plan-1") -> Plan:
    step = Step(
        number=1, layer=Layer.MODEL, base=BASE.id, candidate=CANDIDATE, because="default order", after=()
    )
    change = Change(app=app, base=BASE, candidate=CANDIDATE, author="ana")
    return Plan(id=PlanId(name), change=change, steps=(step,), diffs=diff(BASE, CANDIDATE), notes=("valid",))


def benchmark() -> Benchmark:
    return Benchmark(
        id=BenchmarkId("bench-1"),
        app=APP,
        base=BASE.id,
        candidate=CANDIDATE.id,
        eval_set=EvalSetId("core@1"),
        repetitions=1,
        trials=2,
        comparisons=(),
        clusters=(),
        regressed=(),
        verdict=Verdict.NO_DATA,
        cost_usd=None,
    )


def rollout(number: int, app: AppRef = APP, **changes: Any) -> Rollout:
    made = Rollout(
        id=RolloutId(f"r-{number}"),
        app=app,
        plan_id=PlanId("plan-1"),
        step=number,
        steps=max(number, 1),
        layer=Layer.MODEL,
        values={"name": "b"},
        after=(),
        policy=Policy(),
        metrics=(
            Metric(
                name="right",
                source={"check": "contains_reference"},
                role=Role.GOAL,
                clock=Clock.FAST,
                margin=0.05,
                harm_margin=0.025,
            ),
        ),
        salt="salt",
        hash_version=1,
        author="ana",
        state=RolloutState.QUEUED,
        stage=0,
        generation=0,
        because="queued",
        created_at=1.0,
        entered_at=1.0,
    )
    return replace(made, **changes)


def decision(on: Rollout, kind: DecisionKind, state: RolloutState, **changes: Any) -> Decision:
    made = Decision(
        id=DecisionId(f"{on.id}/{on.generation + 1}"),
        rollout_id=on.id,
        parent=on.generation,
        kind=kind,
        state=state,
        stage=on.stage,
        weight=0.05,
        because="as told",
        actor="inchworm",
        at=2.0,
        evidence={"format": "evidence/1", "units": 10},
    )
    return replace(made, **changes)


def after(on: Rollout, taken: Decision) -> Rollout:
    return replace(
        on, state=taken.state, stage=taken.stage, generation=taken.parent + 1, because=taken.because
    )


def lineage(app: AppRef = APP, **changes: Any) -> Lineage:
    made = Lineage(app=app, stable=BASE.id, generation=1, in_flight=None, since=1.0, note="first")
    return replace(made, **changes)


def entry(app: AppRef = APP, at: float = 1.0, what: str = "it changed") -> LedgerEntry:
    return LedgerEntry(app=app, at=at, kind="configuration", actor="ana", what=what, data={"id": "x"})


def served(app: AppRef = APP, generation: int = 1) -> ServingTable:
    return ServingTable(app=app, generation=generation, stable=BASE.id)


def work(name: str, kind: str = "benchmark", app: AppRef = APP) -> WorkItem:
    return WorkItem(id=WorkId(name), kind=kind, app=app, payload={"n": 1})


def exposure(order: int, rollout_id: str = "r-1", **changes: Any) -> Exposure:
    made = Exposure(
        rollout_id=RolloutId(rollout_id),
        order=order,
        unit_id=UnitId(f"u{order}"),
        stage=0,
        arm=Arm.CANDIDATE if order % 2 else Arm.BASELINE,
        probability=0.5,
        at=1000.0 + order,
    )
    return replace(made, **changes)


def trace(number: int, **changes: Any) -> Trace:
    made = Trace(
        id=TraceId(f"trace-{number:04d}"),
        app=APP,
        at=1000.0 + number,
        unit_id=UnitId(f"u{number}"),
        configuration_id=BASE.id,
        assignment=None,
        inputs={"question": f"what is {number}?", "documents": ["one", "two"]},
        output=f"it is {number}",
        outcome=Ok(),
        finish_reason="stop",
        latency_ms=10.0 * number,
        usage=Usage(input_tokens=10, output_tokens=number, cost_usd=0.001),
        reference=["it", "is"],
        attributes={"region": "eu"},
    )
    return replace(made, **changes)


def assigned(number: int, rollout_id: str = "r-1", **changes: Any) -> Trace:
    one = exposure(number, rollout_id)
    return trace(
        number,
        assignment=Assignment(
            rollout_id=one.rollout_id, stage=one.stage, arm=one.arm, probability=one.probability
        ),
        **changes,
    )


def score(
    value: float = 1.0,
    metric: str = "right",
    source: str = "code:right/1",
    at: float = 1.0,
    id: str | None = None,  # noqa: A002  # as the score calls it
) -> Score:
    return Score(metric=metric, result=Scored(value=value), source=source, at=at, id=id)


def case_id(number: int) -> CaseId:
    return CaseId(f"case-{number:012x}")


def configuration_id(letter: str) -> ConfigurationId:
    return ConfigurationId(letter * 64)
