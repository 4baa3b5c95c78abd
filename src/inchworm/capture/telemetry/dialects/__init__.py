"""The dialects of span attributes, in order of precedence: where several tell the same, the first wins.

Each is a function of what was reported to what it tells. A span may speak several: Langfuse's client puts its
names on spans of any instrumentation, Vercel's writes OpenTelemetry's beside its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from inchworm.capture.telemetry.dialects import (
    genai,
    langfuse,
    openinference,
    ours,
    people,
    pydantic_ai,
    traceloop,
    vercel,
)
from inchworm.capture.telemetry.reported import Reported
from inchworm.capture.telemetry.told import Told

Dialect = Callable[[Reported], Told]

TABLE: Final[tuple[tuple[str, frozenset[str], Dialect], ...]] = (
    ("inchworm", frozenset({"inchworm"}), ours.tell),
    ("langfuse", frozenset({"langfuse"}), langfuse.tell),
    (
        "openinference",
        frozenset(
            {"openinference", "llm", "input", "output", "retrieval", "embedding", "reranker", "tool", "tag"}
        ),
        openinference.tell,
    ),
    ("vercel", frozenset({"ai"}), vercel.tell),
    ("genai", frozenset({"gen_ai"}), genai.tell),
    ("traceloop", frozenset({"traceloop"}), traceloop.tell),
    (
        "pydantic-ai",
        frozenset({"pydantic_ai", "all_messages_events", "events", "final_result", "model_name"}),
        pydantic_ai.tell,
    ),
    ("people", frozenset({"session", "user", "enduser"}), people.tell),
)
"""Name, first parts of the attributes' names that tell it, and the function; in order of precedence."""
MARKS: Final = dict.fromkeys(traceloop.MARKS, "traceloop")
"""Attributes that tell a dialect by their whole names, and the first part that they stand for."""
