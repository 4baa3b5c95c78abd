"""Golden shapes of what is stored: a change of one is a new version of its format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.rollout import world

from inchworm.domain.metric import Absence, Clock, Role
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import MonitorState, consume, empty
from inchworm.stats.stream import log_total

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
    "clocks": [
        {
            "clock": "str",
            "alpha": "float",
            "log_e": "float",
            "crossing": "null",
            "consumed": "int",
            "counted": {"baseline": "int", "candidate": "int"},
            "late": {"baseline": "int", "candidate": "int"},
        }
    ],
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
            "came": "int",
            "floored": "bool",
        }
    ],
    "clusters": [],
    "clusters_void_at": "null",
    "shadow": "null",
    "paired": "bool",
    "segments": [],
}
PAST = {"consumed": "int", "sum_y": "float", "sum_sq": "float", "m": "float", "v": "float"}
HARM_ONLY = {
    "version": "str",
    "past": PAST,
    "skipped": "int",
    "stage": "int",
    "log_harm": [["float"]],
    "log_expand": [],
}
MONITOR: dict[str, Any] = {
    "format": "str",
    "clocks": {
        "fast": {
            "consumed": "int",
            "candidate": "int",
            "counted": [["int"]],
            "harm": "null",
            "known": "null",
            "unknown_at": "null",
            "late": ["int"],
            "seen": "int",
        }
    },
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
    "coverages": [{"version": "str", "fewer": HARM_ONLY, "more": HARM_ONLY}],
    "metrics": [
        {
            "name": "str",
            "process": HARM_ONLY | {"log_expand": [["float"]]},
            "sequence": {
                "version": "str",
                "line": "float",
                "units": "int",
                "skipped": "int",
                "sum_y": "float",
                "sum_sq": "float",
                "block": ["float"],
                "alive": ["int"],
                "wealth": ["int"],
                "stages": [["float"]],
            },
            "coverage": "int",
            "reported": [["int"]],
            "void_at": "null",
            "alone": "null",
        }
    ],
    "clusters": [],
    "segments": [{"since": "null", "because": "str", "metrics": [["int"]]}],
    "shadow": "null",
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


def test_monitor_2() -> None:
    found = STATE.to_json()
    assert found["format"] == "monitor/2"
    assert shape(found) == MONITOR
    process = found["metrics"][0]["process"]
    assert (process["version"], process["past"]["consumed"]) == ("rbe/1", 4)
    assert process["past"]["sum_y"] == 4.0
    assert len(json.dumps(found)) < 14_000, "a state per rollout and moment is kept: it stays small"


def test_monitor_1_is_still_read() -> None:
    """300 units as version 0 of the monitor left them, with a metric on either clock."""
    stored = json.loads((Path(__file__).parent / "monitor_1.json").read_text("utf-8"))
    rollout = world.exposing(
        metrics=(
            world.metric("answered"),
            world.metric("helpful", role=Role.GUARDRAIL, clock=Clock.JUDGED, absence=Absence.VOID),
        )
    )
    state = MonitorState.from_json(stored)
    assert [state.clocks[clock].consumed for clock in Clock] == [300, 300]
    found = snapshot(rollout, state)
    one, other = found.metrics
    assert one.log_e_harm == _log_e(stored["metrics"][0]["process"]["log_harm"])
    assert other.log_e_expand == _log_e(stored["metrics"][1]["process"]["log_expand"][:1])
    assert found.stages[0].units.both == 300
    more = world.draw(1, 50, rates={"answered": (0.9, 0.9), "helpful": (0.9, 0.9)}, start=300)
    later = consume(rollout, state, more)
    assert later.watermark == 700
    assert MonitorState.from_json(json.loads(json.dumps(later.to_json()))) == later


def _log_e(rows: list[list[float]]) -> float:
    """What a mixture is worth, shares first."""
    return float(log_total(np.array([log_total(np.array(row)[:, None])[0] for row in rows])[:, None])[0])
