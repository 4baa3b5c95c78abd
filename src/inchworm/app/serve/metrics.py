"""What a server counts of its own work, for Prometheus: a registry of its own, and no content of calls.

What the rows say is read when somebody asks (:mod:`inchworm.app.serve.readings`); what only happens is
counted here as it happens, from the start of the process on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from inchworm import __version__
from inchworm.app.loop.drained import Drained
from inchworm.domain.rollout import Decision, DecisionKind

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_REASONS = {
    "No interaction by its id": "no_interaction",
    "It is no record": "unreadable",
    "It is of ": "other_app",
    "This is a fault": "fault",
}
REASONS = ("damaged", *_REASONS.values(), "refused")
"""Why something is quarantined, in classes: sentences are too many for a label."""


def reason_class(reason: str) -> str:
    """The class of a reason of the drain's; one of :data:`REASONS`."""
    if reason[:1].islower():  # what the spool says of a whole segment; sentences are about records
        return "damaged"
    return next((name for start, name in _REASONS.items() if reason.startswith(start)), "refused")


class ServerMetrics:
    """Everything that one server counts, and the process that it is.

    Attributes:
        registry: all of it.
    """

    def __init__(self) -> None:
        # Beside each counter the library tells when it began; rate() does without, and names say no unit.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's
        self.registry = CollectorRegistry()
        one = self.registry
        ProcessCollector(registry=one)
        Gauge("inchworm_build_info", "The version that runs; always 1.", ["version"], registry=one).labels(
            __version__
        ).set(1)
        self._traces = Counter("inchworm_traces_stored", "Interactions stored.", registry=one)
        self._spans = Counter(
            "inchworm_spans_stored", "Spans of telemetry stored, or of which more was said.", registry=one
        )
        self._spans_again = Counter(
            "inchworm_spans_duplicate", "Spans that came again and said nothing new.", registry=one
        )
        self._retold = Counter(
            "inchworm_traces_retold",
            "Interactions stored anew because more of their spans is known now.",
            registry=one,
        )
        self._duplicates = Counter(
            "inchworm_traces_duplicate", "Interactions that came again and were stored already.", registry=one
        )
        self._exposures = Counter(
            "inchworm_exposures_stored", "Units exposed for the first time.", registry=one
        )
        self._mirrored = Counter(
            "inchworm_mirrored_stored", "Calls put to a candidate too, for nobody to see.", registry=one
        )
        self._scores = Counter(
            "inchworm_scores_stored", "Scores stored that came on their own.", registry=one
        )
        self._segments = Counter(
            "inchworm_segments_drained", "Segments of the spool read to their end.", registry=one
        )
        self._quarantined = Counter(
            "inchworm_records_quarantined",
            f"Records that could not be taken in, by class of reason: {', '.join(REASONS)}.",
            ["reason"],
            registry=one,
        )
        self._found = Counter(
            "inchworm_sanitize_findings",
            "Personal data and secrets replaced, by kind.",
            ["kind"],
            registry=one,
        )
        self._drain = Histogram(
            "inchworm_drain_seconds",
            "Rounds of the drain that had something to do.",
            buckets=_SECONDS,
            registry=one,
        )
        self._tick = Histogram(
            "inchworm_controller_tick_seconds", "Rounds of the control loop.", buckets=_SECONDS, registry=one
        )
        self._ticked_at = Gauge(
            "inchworm_controller_last_success_timestamp_seconds",
            "When the control loop last went round without an error; 0 before the first time.",
            registry=one,
        )
        self._decisions = Counter(
            "inchworm_controller_decisions", "Decisions of the control loop, by kind.", ["kind"], registry=one
        )
        self._published_at = Gauge(
            "inchworm_published_timestamp_seconds",
            "When what gateways are told to serve last changed, or was first built.",
            registry=one,
        )
        self._notices = Counter(
            "inchworm_notifications",
            "Attempts to tell somebody, by result: sent, again (tried later), failed (given up).",
            ["result"],
            registry=one,
        )
        self._requests = Counter(
            "inchworm_http_requests",
            "Requests answered by pages and API, by route and class of status.",
            ["method", "route", "status"],
            registry=one,
        )
        for name in REASONS:
            self._quarantined.labels(name)
        for kind in DecisionKind:
            self._decisions.labels(kind.value)
        for result in ("sent", "again", "failed"):
            self._notices.labels(result)

    def drained(self, drained: Drained, seconds: float) -> None:
        """A round of the drain."""
        if not drained.idle:
            self._drain.observe(seconds)
        self._segments.inc(drained.segments)
        self._traces.inc(drained.traces)
        self._spans.inc(drained.spans)
        self._spans_again.inc(drained.spans_again)
        self._retold.inc(drained.retold)
        self._duplicates.inc(drained.duplicates)
        self._exposures.inc(drained.exposures)
        self._mirrored.inc(drained.mirrored)
        self._scores.inc(drained.scores)
        for reason, count in drained.quarantined.items():
            self._quarantined.labels(reason_class(reason)).inc(count)
        for kind, count in drained.found.items():
            self._found.labels(kind).inc(count)

    def ticked(self, made: Iterable[Decision], seconds: float, at: float) -> None:
        """A round of the control loop that ended at ``at``, seconds since the epoch."""
        self._tick.observe(seconds)
        self._ticked_at.set(at)
        for decision in made:
            self._decisions.labels(decision.kind.value).inc()

    def published(self, at: float) -> None:
        """What is served was built, or has changed, at ``at``."""
        self._published_at.set(at)

    def noticed(self, made: Mapping[str, int]) -> None:
        """Attempts to tell people, by result."""
        for result, count in made.items():
            self._notices.labels(result).inc(count)

    def answered(self, method: str, route: str, status: int) -> None:
        """A request was answered."""
        self._requests.labels(method, route, f"{status // 100}xx").inc()
