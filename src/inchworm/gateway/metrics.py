"""Counters and histograms in Prometheus' text format (version 0.0.4).

A registry of our own, because each request updates several of them: an update here is an addition.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Bounds of the histograms, seconds."""
Value = tuple[tuple[str, ...], float]
"""Values of labels, and a number."""


class Counter:
    """Counts per combination of label values.

    Args:
        name: its name; Prometheus wants ``_total`` at the end.
        text: what it counts.
        labels: names of the labels.
    """

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self.values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}

    def add(self, *values: str, by: float = 1) -> None:
        """Count ``by`` more for these label values."""
        self.values[values] = self.values.get(values, 0) + by

    def lines(self) -> Iterable[str]:
        """Its lines."""
        yield from _header(self.name, self.text, "counter")
        for values, count in self.values.items():
            yield f"{self.name}{_labels(self.labels, values)} {count:.17g}"


class Histogram:
    """Durations in seconds, per combination of label values; see :class:`Counter`."""

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.name, self.text, self.labels = name, text, tuple(labels)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, seconds: float, *values: str) -> None:
        """One more duration."""
        counts = self._counts.get(values)
        if counts is None:
            counts = self._counts[values] = [0] * (len(SECONDS) + 1)
            self._sums[values] = 0.0
        counts[bisect_left(SECONDS, seconds)] += 1
        self._sums[values] += seconds

    def lines(self) -> Iterable[str]:
        """Its lines."""
        yield from _header(self.name, self.text, "histogram")
        names = (*self.labels, "le")
        for values, counts in self._counts.items():
            total = 0
            for bound, count in zip((*(f"{one:g}" for one in SECONDS), "+Inf"), counts, strict=True):
                total += count
                yield f"{self.name}_bucket{_labels(names, (*values, bound))} {total}"
            yield f"{self.name}_sum{_labels(self.labels, values)} {self._sums[values]:.17g}"
            yield f"{self.name}_count{_labels(self.labels, values)} {total}"


class Metrics:
    """Everything that a gateway counts."""

    def __init__(self) -> None:
        self.requests = Counter(
            "inchworm_gateway_requests_total",
            "Calls answered, by app and class of status.",
            ("app", "status"),
        )
        self.latency = Histogram(
            "inchworm_gateway_request_seconds", "From request to the last byte of the answer.", ("app",)
        )
        self.ttft = Histogram(
            "inchworm_gateway_first_content_seconds",
            "From request to the first content of a stream.",
            ("app",),
        )
        self.troubles = Counter(
            "inchworm_gateway_upstream_troubles_total",
            "Calls without a whole answer: connect, cut, deadline, caller_left, busy, broken.",
            ("app", "trouble"),
        )
        self.exposures = Counter(
            "inchworm_gateway_exposures_total", "Units exposed for the first time.", ("app", "arm")
        )
        self.unattended = Counter(
            "inchworm_gateway_unattended_calls_total",
            "Calls of new units that got stable because the server was not heard from.",
            ("app",),
        )
        self.mirrored = Counter(
            "inchworm_gateway_mirrored_calls_total",
            "Calls that the candidate was asked too, for nobody to see: answered, or what went wrong.",
            ("app", "result"),
        )
        self.unmirrored = Counter(
            "inchworm_gateway_unmirrored_calls_total",
            "Calls that were to be mirrored and were not: busy, budget, held, left_to_app, spool, "
            "unattended, unmoved.",
            ("app", "why"),
        )
        self.unapplied = Counter(
            "inchworm_gateway_unapplied_layers_total", "Layers that could not be applied.", ("app", "layer")
        )
        self.capture_troubles = Counter(
            "inchworm_gateway_capture_troubles_total",
            "What could not be recorded, by kind; the callers were served.",
            ("kind",),
        )
        self.retries = Counter(
            "inchworm_gateway_upstream_retries_total",
            "Requests that were sent to a provider again: connect, 429, 503.",
            ("upstream", "why"),
        )
        self.not_sent = Counter(
            "inchworm_gateway_upstream_not_sent_total",
            "Requests that a provider was not sent: busy, waited (past the deadline), broken.",
            ("upstream", "why"),
        )
        self.faults = Counter(
            "inchworm_gateway_faults_total", "The gateway's own errors, by code.", ("code",)
        )
        self.accepted = Counter(
            "inchworm_gateway_client_records_total", "Records taken from client libraries."
        )
        self.ingested = Counter(
            "inchworm_gateway_ingested_spans_total",
            "Spans, runs and events taken from tracing clients, by protocol.",
            ("protocol",),
        )
        self.graded = Counter(
            "inchworm_gateway_ingested_scores_total", "Feedback taken, by protocol.", ("protocol",)
        )
        self.ingest_refused = Counter(
            "inchworm_gateway_ingest_refused_total",
            "Requests of tracing clients, and parts of them, that were refused.",
            ("protocol", "reason"),
        )
        self.ingest_dropped = Counter(
            "inchworm_gateway_ingest_dropped_total",
            "What tracing clients sent beside their spans and is not kept.",
            ("protocol", "what"),
        )
        self.fetches = Counter(
            "inchworm_gateway_serving_fetches_total", "Questions for news of what to serve.", ("result",)
        )
        self._read: list[tuple[str, str, str, Callable[[], float | None]]] = []
        self._many: list[tuple[str, str, tuple[str, ...], Callable[[], Iterable[Value]]]] = []

    def gauge(self, name: str, text: str, read: Callable[[], float | None]) -> None:
        """Have a number read whenever somebody asks; ``None`` leaves it out."""
        self._read.append((name, text, "gauge", read))

    def gauges(
        self, name: str, text: str, labels: Sequence[str], read: Callable[[], Iterable[Value]]
    ) -> None:
        """Have numbers, each with its labels' values, read whenever somebody asks."""
        self._many.append((name, text, tuple(labels), read))

    def counter(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Have a number that only grows, and is counted elsewhere, read whenever somebody asks."""
        self._read.append((name, text, "counter", read))

    def text(self) -> str:
        """All of them, as Prometheus reads them."""
        lines: list[str] = []
        for one in vars(self).values():
            if isinstance(one, Counter | Histogram):
                lines += one.lines()
        for name, text, kind, read in self._read:
            value = read()
            if value is not None:
                lines += [*_header(name, text, kind), f"{name} {value:.17g}"]
        for name, text, labels, values in self._many:
            lines += _header(name, text, "gauge")
            lines += (f"{name}{_labels(labels, said)} {number:.17g}" for said, number in values())
        return "\n".join(lines) + "\n"


def _header(name: str, text: str, kind: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
