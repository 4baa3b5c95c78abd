"""Golden shapes of what is stored: a change of one is a new version of its format."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.rollout import world

from inchworm.rollout.monitor import consume, empty
from inchworm.rollout.snapshot import snapshot

EVIDENCE: dict[str, Any] = {
    "format": "str",
    "stage": "int",
    "consumed": "int",
    "candidate": "int",
    "expected": "float",
    "alpha_ratio": "float",
    "log_e_ratio": "float",
    "ratio_void_at": "null",
    "alpha_expand": "float",
    "stages": [
        {
            "units": {"baseline": "int", "candidate": "int"},
            "silent": {"baseline": "int", "candidate": "int"},
            "errored": {"baseline": "int", "candidate": "int"},
        }
    ],
    "clocks": [{"clock": "str", "alpha": "float", "log_e": "float", "crossing": "null"}],
    "metrics": [
        {
            "name": "str",
            "role": "str",
            "clock": "str",
            "absence": "str",
            "harm_margin": "float",
            "margin": "float",
            "final_margin": "float",
            "alpha_harm": "float",
            "weight": "float",
            "log_e_harm": "float",
            "log_e_expand": "float",
            "consumed": "int",
            "effect": {
                "effect": "float",
                "low": "float",
                "high": "float",
                "baseline": "float",
                "candidate": "float",
                "units": {"baseline": "int", "candidate": "int"},
            },
            "reported": {"baseline": "int", "candidate": "int"},
            "missing": {"baseline": "int", "candidate": "int"},
            "reported_in_stage": {"baseline": "int", "candidate": "int"},
            "log_e_coverage": "float",
            "void_at": "null",
            "alone": "null",
        }
    ],
}
MONITOR: dict[str, Any] = {
    "format": "str",
    "consumed": "int",
    "candidate": "int",
    "expected": "float",
    "stages": [
        {
            "units": {"baseline": "int", "candidate": "int"},
            "silent": {"baseline": "int", "candidate": "int"},
            "errored": {"baseline": "int", "candidate": "int"},
        }
    ],
    "ratio": {"version": "str", "units": "int", "impossible": "int", "log_wealth": ["float"]},
    "ratio_void_at": "null",
    "harm": {},
    "metrics": [
        {
            "name": "str",
            "process": {
                "version": "str",
                "past": {"consumed": "int", "sum_y": "float", "sum_sq": "float", "m": "float", "v": "float"},
                "skipped": "int",
                "stage": "int",
                "log_harm": [["float"]],
                "log_expand": [["float"]],
            },
            "sequence": {
                "version": "str",
                "past": {"consumed": "int", "sum_y": "float", "sum_sq": "float", "m": "float", "v": "float"},
                "skipped": "int",
                "mantissa": ["float"],
                "exponent": ["int"],
                "stages": [
                    {"overlap": "float", "units": ["int"], "weight": ["float"], "weighted_y": ["float"]}
                ],
            },
            "coverage": {
                "version": "str",
                "fewer": {
                    "version": "str",
                    "past": {
                        "consumed": "int",
                        "sum_y": "float",
                        "sum_sq": "float",
                        "m": "float",
                        "v": "float",
                    },
                    "skipped": "int",
                    "stage": "int",
                    "log_harm": [["float"]],
                    "log_expand": [],
                },
                "more": {
                    "version": "str",
                    "past": {
                        "consumed": "int",
                        "sum_y": "float",
                        "sum_sq": "float",
                        "m": "float",
                        "v": "float",
                    },
                    "skipped": "int",
                    "stage": "int",
                    "log_harm": [["float"]],
                    "log_expand": [],
                },
            },
            "reported": [{"baseline": "int", "candidate": "int"}],
            "void_at": "null",
            "alone": "null",
        }
    ],
}


def shape(value: Any) -> Any:
    """Members and types of a JSON value; a list by its first item."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [shape(value[0])] if value else []
    return "null" if value is None else type(value).__name__


ROLLOUT = world.rollout()
STATE = consume(
    ROLLOUT,
    empty(ROLLOUT),
    world.batch(a=[1, 0, 1, 0], values={metric.name: [1, 1, 0, 1] for metric in ROLLOUT.metrics}),
)


def test_evidence_1() -> None:
    found = snapshot(ROLLOUT, STATE).to_json()
    assert found["format"] == "evidence/1"
    assert shape(found) == EVIDENCE
    assert (found["consumed"], found["candidate"], found["expected"]) == (4, 2, 0.8)
    (metric,) = found["metrics"]
    assert metric["log_e_harm"] == pytest.approx(0.05313182302145497, abs=1e-12)
    assert metric["log_e_expand"] == pytest.approx(-0.1090241342792343, abs=1e-12)


def test_monitor_1() -> None:
    found = STATE.to_json()
    assert found["format"] == "monitor/1"
    assert shape(found) == MONITOR
    process = found["metrics"][0]["process"]
    assert (process["version"], process["past"]["consumed"]) == ("rbe/1", 4)
    assert process["past"]["sum_y"] == 4.0
