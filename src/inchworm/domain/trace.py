"""One handled interaction, and the exposure that was durable before its outcome was known."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Outcome, Score

CALL = "inchworm.call"
"""The attribute of a trace that holds the name of its call."""
SOURCE = "inchworm.source"
"""The attribute that names the way a trace or a span came by: a wire, a dialect of telemetry, the client."""
CONTENT, EXPIRED = "inchworm.content", "expired"
"""The attribute, and its value, of a trace whose content was deleted for its age."""


class Arm(StrEnum):
    """Which side of a comparison answered."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """A unit was assigned. Recorded before anything is known of its outcome.

    Attributes:
        rollout_id: the rollout that assigned it.
        order: place in the order of assignment, from 0, without gaps; nothing the arm does affects it.
        unit_id: each unit once per rollout and draw.
        stage: 0-based stage in force at assignment.
        arm: the arm it got and keeps.
        probability: the probability of the candidate arm that was in force (π), in [0, 1].
        at: when, seconds since the epoch.
        draw: which draw of the unit it is, for a unit is exposed once in each: 0, or the stage where units
            are drawn anew at every stage (unit ``user``).
    """

    rollout_id: RolloutId
    order: int
    unit_id: UnitId
    stage: int
    arm: Arm
    probability: float
    at: float
    draw: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a trace says of the exposure that it belongs to."""

    rollout_id: RolloutId
    stage: int
    arm: Arm
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and money of one call; ``None`` where the source did not say.

    Attributes:
        input_tokens: tokens read, cached ones included.
        output_tokens: tokens written.
        cost_usd: US dollars.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


UNKNOWN_USAGE = Usage()
"""Usage of which the source said nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One handled interaction, after sanitizing.

    Attributes:
        id: unique per app; a second trace with it replaces nothing and is counted as a duplicate.
        app: where it happened.
        at: when it started, seconds since the epoch.
        unit_id: session, user or request.
        configuration_id: what answered, if known.
        assignment: arm, rollout, stage and probability, if it was part of a rollout.
        inputs: JSON values that the prompt's variables took, e.g. ``{"question": ..., "documents": [...]}``.
        output: what was answered; ``None`` if nothing was.
        outcome: ok, failed or errored.
        finish_reason: why the answer ended, in OpenAI's words (``stop``, ``length``, ...) where there is one;
            else the provider's word.
        latency_ms: wall time from request to the last byte, milliseconds, if known.
        usage: tokens and cost.
        reference: a right answer, if the data brought one.
        scores: scores that the data brought.
        attributes: everything else that the source said, JSON.
        shadow_of: the trace whose input it answered beside another configuration, for nobody to see.
    """

    id: TraceId
    app: AppRef
    at: float
    unit_id: UnitId
    configuration_id: ConfigurationId | None = None
    assignment: Assignment | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    output: str | None = None
    outcome: Outcome
    finish_reason: str | None = None
    latency_ms: float | None = None
    usage: Usage = UNKNOWN_USAGE
    reference: Any = None
    scores: tuple[Score, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    shadow_of: TraceId | None = None

    @property
    def call(self) -> str | None:
        """The name of its call, where the app makes several and its callers name them."""
        named = self.attributes.get(CALL)
        return named if isinstance(named, str) and named else None

    @property
    def is_expired(self) -> bool:
        """Whether its content was deleted for its age: what is left are its numbers."""
        return self.attributes.get(CONTENT) == EXPIRED

    @property
    def has_content(self) -> bool:
        """Whether it says what was asked; telemetry often comes without."""
        return bool(self.inputs)
