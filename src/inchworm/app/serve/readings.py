"""What is read from the rows and folders whenever somebody asks for metrics: how things stand now."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from inchworm.app.house import House
from inchworm.app.serve.state import GatewaySeen, Publisher
from inchworm.capture.places import SPOOL
from inchworm.capture.spool import closed_segments, oldest_at, quarantined, spool_size
from inchworm.domain.rollout import DecisionKind, Rollout, RolloutState
from inchworm.domain.trace import Arm
from inchworm.domain.work import WorkState
from inchworm.rollout import calendar
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import MonitorState
from inchworm.rollout.transitions import IN_FLIGHT, weight_of

PARTS = (
    "audit",
    "benchmarks",
    "controller",
    "drain",
    "inchworm.yaml",
    "notifications",
    "publisher",
    "quarantine",
    "spool",
)
"""What the health of a server is made of."""
SILENT_S = 60.0
"""A gateway that has not asked for so long is silent: it asks three times a minute at least."""
_GATEWAYS = ("current", "behind", "silent")


def gateway_state(seen: GatewaySeen, version: str, now: float) -> str:
    """``current``, ``behind`` what is published, or ``silent``."""
    if now - seen.at > SILENT_S:
        return "silent"
    return "current" if seen.holds == version else "behind"


@dataclass(frozen=True, slots=True)
class Readings(Collector):
    """What :func:`prometheus_client.generate_latest` asks.

    Attributes:
        house: whose rows.
        publisher: knows the gateways.
        health: what is wrong, by part.
    """

    house: House
    publisher: Publisher
    health: Callable[[], Mapping[str, str]]

    def collect(self) -> Iterator[Metric]:
        """Every reading.

        Raises:
            StoreError: if a store or the spool cannot be read.
        """
        yield from self._spool()
        yield from self._rollouts()
        yield _by(
            "inchworm_work_items",
            "Work items by state.",
            "state",
            WorkState,
            (one.state.value for one in self.house.control.work(self.house.app)),
        )
        yield from self._trust()
        now, version = self.house.now(), self.publisher.version
        yield _by(
            "inchworm_gateways",
            "Gateways that asked since the server started: current, behind what is published, or silent.",
            "state",
            _GATEWAYS,
            (gateway_state(one, version, now) for one in self.publisher.gateways()),
        )
        ill = self.health()
        healthy = GaugeMetricFamily(
            "inchworm_part_healthy", "Whether a part of the server is well (1) or not (0).", labels=["part"]
        )
        for part in PARTS:
            healthy.add_metric([part], float(part not in ill))
        yield healthy

    def _trust(self) -> Iterator[Metric]:
        control, app = self.house.control, self.house.app
        yield GaugeMetricFamily(
            "inchworm_audit_head_number",
            "Number of the last entry of the audit trail; it never falls.",
            value=control.audit_head().number,
        )
        frozen = calendar.said(self.house.spec.freeze, self.house.now())
        yield GaugeMetricFamily(
            "inchworm_frozen",
            "Whether a freeze is on (1), in which nothing starts and nothing grows, or not (0).",
            value=float(frozen is not None),
        )
        decided = CounterMetricFamily(
            "inchworm_decisions",
            "Decisions of the app since its beginning, by kind, those of people among them.",
            labels=["kind"],
        )
        counts = control.audit_counts(app)
        for kind in DecisionKind:
            decided.add_metric([kind.value], counts.get(f"rollout.{kind.value}", 0))
        yield decided
        notices = GaugeMetricFamily(
            "inchworm_notices", "Notices kept, by state: waiting, sent, failed.", labels=["state"]
        )
        for state, count in control.notice_counts(app).items():
            notices.add_metric([state.value], count)
        yield notices

    def _spool(self) -> Iterator[Metric]:
        root = self.house.spec.data / SPOOL
        oldest = oldest_at(root)
        age = 0.0 if oldest is None else max(0.0, self.house.now() - oldest)
        for name, text, value in (
            ("segments", "Closed segments that wait to be drained.", len(closed_segments(root))),
            ("bytes", "Size of what waits in the spool, the quarantine left out.", spool_size(root)),
            ("age_seconds", "Age of the oldest segment in the spool; 0 if there is none.", age),
        ):
            yield GaugeMetricFamily(f"inchworm_spool_backlog_{name}", text, value=value)
        yield GaugeMetricFamily(
            "inchworm_quarantine_segments", "Segments that lie in quarantine.", value=len(quarantined(root))
        )

    def _rollouts(self) -> Iterator[Metric]:
        every = self.house.control.rollouts(self.house.app)
        yield _by(
            "inchworm_rollouts",
            "Rollouts by state.",
            "state",
            RolloutState,
            (one.state.value for one in every),
        )
        gauges = _flying()
        for rollout in every:
            if rollout.state in IN_FLIGHT:
                self._flying(rollout, gauges)
        yield from gauges.values()

    def _flying(self, rollout: Rollout, gauges: Mapping[str, GaugeMetricFamily]) -> None:
        gauges["state"].add_metric([rollout.id, rollout.state.value], 1)
        gauges["stage"].add_metric([rollout.id, rollout.layer.value], rollout.stage)
        gauges["weight"].add_metric([rollout.id], weight_of(rollout.state, rollout.stage, rollout.policy))
        exposed: Counter[Arm] = Counter()
        for (_, arm), count in self.house.traces.exposures_count(rollout.id).items():
            exposed[arm] += count
        for arm in Arm:
            gauges["exposed"].add_metric([rollout.id, arm.value], exposed[arm])
        stored = self.house.control.monitor(rollout.id)
        if stored is None:
            return
        evidence = snapshot(rollout, MonitorState.from_json(stored[1]))
        for clock in evidence.clocks:
            if clock.log_e is not None:
                gauges["harm"].add_metric([rollout.id, clock.clock.value], clock.log_e)
            gauges["harm_line"].add_metric([rollout.id, clock.clock.value], -math.log(clock.alpha))
        for one in evidence.metrics:
            where = [rollout.id, one.name, one.clock.value]
            for asked, log_e in (("harm", one.log_e_harm), ("expand", one.log_e_expand)):
                if log_e is not None:
                    gauges["metric"].add_metric([*where, asked], log_e)
        gauges["ratio"].add_metric([rollout.id], evidence.log_e_ratio)
        gauges["ratio_line"].add_metric([rollout.id], -math.log(evidence.alpha_ratio))


def _flying() -> dict[str, GaugeMetricFamily]:
    """What is told of each rollout in flight."""

    def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(f"inchworm_rollout_{name}", text, labels=["rollout", *labels])

    return {
        "stage": gauge(
            "stage", "Stage of a rollout in flight, from 0; -1 before anybody is exposed.", "layer"
        ),
        "weight": gauge("weight_ratio", "The candidate's share of the traffic, 0 to 1."),
        "exposed": gauge("exposed_units", "Units assigned to an arm, matured or not.", "arm"),
        "harm": gauge("harm_log_e", "Natural logarithm of the e-value of harm, per clock.", "clock"),
        "harm_line": gauge("harm_log_e_limit", "Where harm rolls back: ln(1/alpha), per clock.", "clock"),
        "metric": gauge(
            "metric_log_e",
            "Natural logarithm of the evidence of one metric, of harm or that the loss is within the margin.",
            "metric",
            "clock",
            "of",
        ),
        "state": gauge("state", "The state that a rollout in flight is in; always 1.", "state"),
        "ratio": gauge("sample_ratio_log_e", "Natural logarithm of the e-value of a split unlike the plan."),
        "ratio_line": gauge("sample_ratio_log_e_limit", "Where the split voids the evidence: ln(1/alpha)."),
    }


def _by(name: str, text: str, label: str, values: Iterable[str], found: Iterable[str]) -> GaugeMetricFamily:
    """How many of each value; 0 where there is none, so that an alert has something to compare with."""
    counted = Counter(found)
    gauge = GaugeMetricFamily(name, text, labels=[label])
    for value in values:
        gauge.add_metric([str(value)], counted[str(value)])
    return gauge
