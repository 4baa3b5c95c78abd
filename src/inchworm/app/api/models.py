"""The forms of what is asked and of what is answered. Members of answers are those of ``--json``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    model_validator,
)

from inchworm.domain.access import Scope

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(max_length=4_000)]


class Asked(BaseModel):
    """What is sent; members that nobody knows are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Told(BaseModel):
    """What is answered; a later version may have more members."""

    model_config = ConfigDict(extra="allow")

    version: Literal[1] = 1


class Problem(BaseModel):
    """What went wrong."""

    code: str = Field(description="For programs: not_found, conflict, transition, invalid, …")
    message: str = Field(description="What happened and why.")
    hint: str | None = Field(description="What to do next.")


class Wrong(BaseModel):
    """The one shape of everything that goes wrong."""

    error: Problem


class Score(Asked):
    """Feedback to one interaction: it is named, or a span of it is, or whose latest one it is."""

    trace: Name | None = Field(default=None, description="The interaction's id, as it was sent or answered.")
    span: Name | None = Field(default=None, description="The id of a span of it.")
    session: Name | None = Field(default=None, description="A session: its latest interaction by then.")
    unit: Name | None = Field(default=None, description="A unit: its latest interaction by then.")
    metric: Name
    value: Annotated[StrictBool | StrictFloat | StrictInt | Text, Field(union_mode="left_to_right")] = Field(
        description="On the metric's scale as inchworm.yaml declares it; else from 0 to 1, higher is better."
    )
    source: Name = Field(default="user", description="Who gave it, e.g. user or human:ana.")
    id: Name | None = Field(
        default=None, description="Your own id of this feedback: sent again it counts once."
    )
    comment: Text | None = Field(default=None, description="What was said beside it; sanitized.")
    at: float | None = Field(
        default=None,
        ge=0,
        lt=253_402_300_800,
        description="Seconds since the epoch; now if left out. Sent twice with one time, it counts once.",
    )

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.trace is None and self.span is None and self.session is None and self.unit is None:
            raise ValueError("one of trace, span, session and unit says what it is about")
        return self


class Scores(Asked):
    """Feedback to several interactions."""

    scores: list[Score] = Field(max_length=1_000)


class Build(Asked):
    """An eval set to draw."""

    name: Name = "main"
    size: int = Field(default=600, ge=1, le=100_000)
    seed: int = Field(default=1, ge=0)


class Compare(Asked):
    """Two configurations to compare: stable, declared, or the beginning of an id."""

    base: Name = "stable"
    candidate: Name = "declared"
    evalset: Name = Field(default="main", description="NAME or NAME@VERSION.")
    repetitions: int | None = Field(default=None, ge=1, le=100)


class Benchmark(Compare):
    """A benchmark to make."""

    max_usd: float | None = Field(default=None, ge=0, description="Stop before the answers cost more.")


class Attribute(Compare):
    """An attribution to make."""

    metric: Name | None = Field(default=None, description="The first goal if left out.")


class Plan(Asked):
    """A change to take apart."""

    to: Name = Field(default="declared", description="declared, or the beginning of a configuration's id.")
    reason: Text = ""
    via: Name | None = Field(default=None, description="A configuration that the way leads over.")
    joint: bool = Field(default=False, description="Let layers that are coupled move in one step.")
    measure: bool = Field(default=False, description="Measure all combinations of the layers first.")
    max_usd: float | None = Field(default=None, ge=0, description="What measuring may cost at most.")


class Act(Asked):
    """Something to be done to a rollout."""

    reason: Text = Field(default="", description="For those who read the ledger.")


class Wish(Act):
    """An act that a rollout is asked for."""

    to: Name | None = Field(
        default=None, description="Of a promotion: a stage's share such as 50%, soak, or stable."
    )


class Apply(Asked):
    """How a plan is applied; nothing need be said."""

    undecided_because: Text | None = Field(
        default=None,
        description="For the ledger: why it is wanted although its policy cannot decide at this traffic.",
    )


class BreakGlass(Asked):
    """An emergency."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=4_000, strip_whitespace=True)] = Field(
        description="Why. It stays in the ledger and the audit trail."
    )


class Units(Asked):
    """Units to resolve."""

    units: list[Name] = Field(min_length=1, max_length=1_000)
    attributes: dict[Name, str] = Field(
        default={}, max_length=50, description="What is known of all of them, for a stage's audience."
    )


class NewKey(Asked):
    """A key to make."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    scope: Scope = Scope.VIEWER
    app: str | None = Field(
        default=None,
        description="The only app that it sends for, as NAME/ENVIRONMENT; else each request says which.",
    )
    expires_s: float | None = Field(default=None, gt=0, description="In how many seconds it ends by itself.")


class Me(Told):
    """Who is asking."""

    name: str
    scope: Scope


class Key(BaseModel):
    """A key, without its secret."""

    id: str
    name: str
    scope: Scope
    app: str | None
    created_at: float
    created_by: str
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None


class Keys(Told):
    """Every key that was ever made."""

    keys: list[Key]


class MadeKey(Told):
    """A new key. This is the only time that it is shown."""

    key: str
    about: Key


class RolloutRow(BaseModel):
    """A rollout in a listing."""

    model_config = ConfigDict(extra="allow")

    id: str
    plan: str
    step: int
    steps: int
    layer: str
    state: str
    stage: int
    stages: int
    weight: float
    terminal: bool
    base: str | None
    candidate: str | None
    because: str


class Rollouts(Told):
    """Rollouts, the latest first."""

    rollouts: list[RolloutRow]
    after: str | None


class Rollout(Told):
    """A rollout with its evidence and its decisions."""

    rollout: RolloutRow
    diffs: list[dict[str, Any]]
    evidence: dict[str, Any] | None
    decisions: list[dict[str, Any]]
    may: list[str] = Field(description="What a person may ask now.")
    approvals: list[dict[str, Any]] = Field(default=[], description="Who agreed to it.")


class Acted(Told):
    """What a person's act came to."""

    rollout: str
    decision: str
    kind: str
    state: str
    stage: int
    weight: float
    because: str
    undo: str


class TraceRow(BaseModel):
    """An interaction without its content."""

    model_config = ConfigDict(extra="allow")

    id: str
    at: float
    unit: str
    configuration: str | None
    rollout: str | None
    arm: str | None
    cluster: str | None
    outcome: dict[str, Any]
    latency_ms: float | None
    scores: list[dict[str, Any]]


class Traces(Told):
    """A page of interactions, newest first."""

    total: int = Field(description="How many pass, on all pages.")
    searched: int | None = Field(
        description="Where text or an attribute is sought, among how many: the newest that pass the rest. "
        "`null` where all were looked at."
    )
    traces: list[TraceRow]
    after: str | None


class Arrived(Told):
    """Interactions that came in, in the order of arrival."""

    traces: list[TraceRow]
    after: int = Field(description="Hand it in to go on.")


class SpanRow(BaseModel):
    """A piece of work within an interaction, sanitized."""

    model_config = ConfigDict(extra="allow")

    id: str
    parent: str | None
    name: str
    kind: str
    started_at: float | None
    ended_at: float | None


class Spans(Told):
    """The spans of an interaction, in the order of their starts."""

    spans: list[SpanRow]


class OneTrace(Told):
    """An interaction with its content, sanitized."""

    trace: TraceRow


class Rated(Told):
    """What became of feedback."""

    stored: int = Field(description="How many scores were new, or took the place of others by their ids.")
    duplicate: int = Field(description="How many were there already, or later ones of their ids.")
    unknown: list[str] = Field(description="Interactions that are not stored; nothing was kept for them.")


class Imported(Told):
    """What became of the lines of a file."""

    file: str
    known: bool
    lines: int
    accepted: int
    rejected: int
    new: int
    duplicate: int
    refused: dict[str, int]


class Status(Told):
    """Where the app stands."""

    app: str
    declared: str
    stable: dict[str, Any] | None
    in_flight: dict[str, Any] | None
    queued: list[dict[str, Any]]
    traces: int | None
    next: str | None
    health: dict[str, str] = Field(description="What is wrong with the server's parts, as sentences.")


class Planned(Told):
    """A plan, with what carrying it through would take."""

    plan: dict[str, Any]
    outlook: dict[str, Any]
    next: str


class Applied(Told):
    """The rollouts of a plan that was queued. The control loop starts the first as soon as it may."""

    plan: str
    rollouts: list[dict[str, Any]]
    first: dict[str, Any]
    behind: str | None = Field(default=None, description="The rollout that the first one waits for.")
    undo: str


class Entries(Told):
    """A page of entries, newest first."""

    entries: list[dict[str, Any]]
    after: str | None


class Anything(Told):
    """Members as the command's ``--json`` prints them."""


def told(**members: Any) -> Anything:
    """An answer with these members."""
    return Anything.model_validate(members)
