"""How long stages are expected to take."""

from __future__ import annotations

from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.rollout import Policy
from inchworm.rollout.forecast import forecast


def _metric(name: str, role: Role, margin: float) -> Metric:
    return Metric(name=name, source={}, role=role, clock=Clock.FAST, margin=margin, harm_margin=margin / 2)


def test_more_traffic_takes_fewer_days_and_never_less_than_the_bake() -> None:
    metrics = [_metric("answered", Role.GOAL, 0.03), _metric("cost", Role.SIGNAL, 0.0001)]
    few = forecast(Policy(), metrics, {"answered": 0.9}, units_per_day=3_000, runs=40)
    many = forecast(Policy(), metrics, {"answered": 0.9}, units_per_day=3_000_000, runs=40)
    assert [stage.weight for stage in few] == [0.05, 0.25, 0.5]
    assert few[0].days is not None
    assert many[0].days is not None
    assert few[0].days > many[0].days
    for slow, fast, stage in zip(few, many, Policy().stages, strict=True):
        assert slow.slowest == fast.slowest == "answered"
        assert slow.days is not None
        assert fast.days is not None
        assert slow.days >= fast.days
        assert fast.days == stage.min_bake_s / 86_400
        assert slow.units is not None
        assert slow.units >= stage.min_units


def test_too_little_traffic_is_said_not_guessed() -> None:
    stages = forecast(
        Policy(), [_metric("answered", Role.GOAL, 0.01)], {"answered": 0.8}, units_per_day=100, runs=20
    )
    assert stages[-1].units is None
    assert stages[-1].days is None
    assert stages[-1].slowest == "answered"
