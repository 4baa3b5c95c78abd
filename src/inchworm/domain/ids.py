"""One type per kind of id, so that a plan's id is never taken for a rollout's.

Ids of immutable values are derived from their content; ids of events are handed in by the caller.
"""

from __future__ import annotations

from typing import NewType

ConfigurationId = NewType("ConfigurationId", str)
"""SHA-256 of a configuration's canonical content, 64 hexadecimal characters."""
PlanId = NewType("PlanId", str)
"""``plan-`` and the first eight hexadecimal characters of the plan's digest."""
RolloutId = NewType("RolloutId", str)
"""``r-`` and a number that counts up per data directory."""
DecisionId = NewType("DecisionId", str)
"""``RolloutId`` and a sequence number: ``r-7/3``."""
TraceId = NewType("TraceId", str)
"""The caller's trace id, or one derived from the record's content."""
UnitId = NewType("UnitId", str)
"""What is randomised: a session, a user or a request."""
CaseId = NewType("CaseId", str)
"""``case-`` and the first twelve hexadecimal characters of the case's digest."""
EvalSetId = NewType("EvalSetId", str)
"""``NAME@VERSION``."""
BenchmarkId = NewType("BenchmarkId", str)
"""``bench-`` and the first eight hexadecimal characters of its digest."""
WorkId = NewType("WorkId", str)
"""The idempotency key of a work item."""

_SHORT = 8


def short(value: str) -> str:
    """The first and last characters of a digest, as people read it: ``c7f1…9a``."""
    return value if len(value) <= _SHORT else f"{value[:4]}…{value[-2:]}"
