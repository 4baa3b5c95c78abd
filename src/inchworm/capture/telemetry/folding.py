"""The spans of one trace to its interaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inchworm.capture.fields import DERIVED, UnitFrom
from inchworm.capture.stated import APPLICATION_SAID
from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.spans import RESOURCE
from inchworm.capture.telemetry.summing import usage_of
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Errored, Failed, Ok, Outcome, encode
from inchworm.domain.rendering import MESSAGES
from inchworm.domain.rollout import UnitKind
from inchworm.domain.span import Span, SpanKind, merged
from inchworm.domain.trace import CALL, CONTENT, EXPIRED, Trace

INCOMPLETE: Final = "inchworm.incomplete"
"""Attribute: true if a span names a parent that is not known, or nothing says how the interaction ended."""
CONTENTLESS: Final = "inchworm.contentless"
"""Attribute: true if nothing says what was asked."""
SPANS: Final = "inchworm.spans"
"""Attribute: how many spans are known."""
CONTRADICTIONS: Final = "inchworm.contradictions"
"""Attribute: what spans say of one another's configuration or assignment that cannot all be."""
NAME: Final = "inchworm.name"
"""Attribute: the name of the root."""
_RESOURCE: Final = (
    *("service.name", "service.version", "service.namespace"),
    *("deployment.environment", "deployment.environment.name"),
)
_KEPT: Final = (
    "gen_ai.",
    "openai.",
    "inchworm.",
    "error.",
    "http.response.status_code",
    "langfuse.environment",
)
_CALLS: Final = "openai.response.tool_calls"
_OWN: Final = frozenset({"inchworm.read", "inchworm.cut", CONTENT, _CALLS, *names.INPUT_MESSAGES})
_BY_KIND: Final = {UnitKind.SESSION: ("session", "user"), UnitKind.USER: ("user", "session")}
_BADNESS: Final = {Ok: 0, Errored: 1, Failed: 2}
_MODELS: Final = frozenset({SpanKind.LLM})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tree:
    """The spans of a trace, in order of their start.

    Attributes:
        spans: all of them, each once.
        root: the one that stands for the whole.
        models: calls of models, in order.
        missing: whether a span names a parent that is not there.
    """

    spans: tuple[Span, ...]
    root: Span
    models: tuple[Span, ...]
    missing: bool


def fold(
    spans: Sequence[Span], *, unit: UnitKind, conversation: Callable[[str], UnitId] | None = None
) -> Trace:
    """The interaction that all known spans of one trace come to, in whatever order they are.

    The root says what went in, what came out and what became of it; what it leaves open is told by the calls
    of models: the first that was asked, the last that answered. Tokens and cost are those of all spans, but
    what a parent repeats of its children counts once.

    Args:
        spans: of one trace; the same span may be there twice.
        unit: what is randomised in the app.
        conversation: the unit of a conversation by what the user said first, a keyed hash; without it the
            trace is the unit of last resort.

    Raises:
        ValueError: if there is none, or they are not of one trace.
    """
    tree = _tree(spans)
    root, first, last = tree.root, tree.models[0] if tree.models else None, _last(tree.models)
    inputs = _inputs(tree)
    output = _output(tree)
    started = min((one.started_at for one in tree.spans if one.started_at is not None), default=root.revision)
    at = started if root.started_at is None else root.started_at
    unit_id, unit_from = _unit(tree, unit, inputs, conversation)
    attributes = _attributes(tree, first, unit_from)
    outcome, known = _outcome(tree, output)
    if tree.missing or not known:
        attributes[INCOMPLETE] = True
    if not inputs:
        attributes[CONTENTLESS] = True
        if output is None and any(one.is_expired for one in tree.spans):
            attributes = {CONTENT: EXPIRED, **attributes}
    configuration = _one(tree, "configuration_id", attributes)
    assignment = _one(tree, "assignment", attributes)
    return Trace(
        id=root.trace_id,
        app=root.app,
        at=at,
        unit_id=unit_id,
        configuration_id=configuration,
        assignment=assignment,
        inputs=inputs,
        output=output,
        outcome=outcome,
        finish_reason=root.finish_reason or (None if last is None else last.finish_reason),
        latency_ms=_latency(tree),
        usage=usage_of(tree.spans),
        reference=next((one.reference for one in _rooted(tree) if one.reference is not None), None),
        attributes=attributes,
    )


def _tree(spans: Sequence[Span]) -> _Tree:
    if not spans:
        msg = "no spans, no interaction"
        raise ValueError(msg)
    if len({one.key[:2] for one in spans}) > 1:
        msg = "spans of several traces are no interaction"
        raise ValueError(msg)
    ordered = _ordered(spans)
    known = {one.id for one in ordered}
    tops = [one for one in ordered if one.parent_id is None or one.parent_id not in known]
    # Spans that name one another as parents have no top: the first of them is one.
    root = min(tops or ordered, key=_rank)
    calls = tuple(one for one in ordered if one.kind in _MODELS)
    telling = {one.id for one in calls if one.inputs or one.output is not None}
    # Providers' own clients report their calls too, without content, under the span that tells them.
    calls = tuple(one for one in calls if one.id in telling or one.parent_id not in telling)
    inner = {one.parent_id for one in calls}
    # Where one library wraps another, the same call is told twice: the inner one says what was sent.
    models = tuple(one for one in calls if one.id not in inner) or calls
    missing = any(one.parent_id is not None and one.parent_id not in known for one in ordered)
    return _Tree(spans=ordered, root=root, models=models, missing=missing)


def _rank(span: Span) -> tuple[bool, bool, bool, float, str]:
    """The smallest is the root: the trace, then what has no parent, what is no event, what came first."""
    return (
        span.kind is not SpanKind.TRACE,
        span.parent_id is not None,
        span.kind is SpanKind.EVENT,
        span.revision if span.started_at is None else span.started_at,
        span.id,
    )


def _ordered(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Each span once, by its start and its id."""
    found: dict[str, Span] = {}
    if len({one.id for one in spans}) < len(spans):
        # Reports of the same revision have no order of their own.
        spans = sorted(spans, key=lambda one: (one.revision, repr(one)))
    for one in spans:
        before = found.get(one.id)
        found[one.id] = one if before is None else merged(before, one)
    return tuple(sorted(found.values(), key=lambda one: (one.started_at or one.revision, one.id)))


def _rooted(tree: _Tree) -> Iterable[Span]:
    """All spans, the root first."""
    yield tree.root
    yield from (one for one in tree.spans if one is not tree.root)


def _last(models: Sequence[Span]) -> Span | None:
    """The call of a model that answered last."""
    return max(models, key=lambda one: (one.ended_at or one.started_at or one.revision, one.id), default=None)


def _inputs(tree: _Tree) -> dict[str, Any]:
    """The root's, and the conversation that the first model saw: its prompt tells the configuration."""
    found = dict(tree.root.inputs)
    if MESSAGES not in found:
        asked = next((one.inputs[MESSAGES] for one in tree.models if MESSAGES in one.inputs), None)
        if asked is not None:
            found[MESSAGES] = asked
    if not found:
        found = dict(next((one.inputs for one in tree.models if one.inputs), {}))
    return found or dict(next((one.inputs for one in _outermost(tree) if one.inputs), {}))


def _output(tree: _Tree) -> str | None:
    if tree.root.output is not None:
        return tree.root.output
    answered = _last([one for one in tree.models if one.output is not None])
    if answered is not None:
        return answered.output
    others = [one for one in _outermost(tree) if one.output is not None]
    return others[-1].output if others else None


def _outermost(tree: _Tree) -> list[Span]:
    """Chains and agents directly under the root, in order."""
    wanted = {SpanKind.CHAIN, SpanKind.AGENT}
    return [one for one in tree.spans if one.parent_id == tree.root.id and one.kind in wanted]


def _outcome(tree: _Tree, output: str | None) -> tuple[Outcome, bool]:
    """What became of it, and whether that is known.

    What the root says decides; but a root that knows of no error, and has no answer either, does not say what
    became of the call of its last model.
    """
    said = tree.root.outcome
    if isinstance(said, Failed | Errored):
        return said, True
    if (
        output is None
        and (last := _last(tree.models)) is not None
        and isinstance(last.outcome, Failed | Errored)
    ):
        return last.outcome, True
    if said is not None:
        return said, True
    if tree.root.kind is not SpanKind.TRACE and tree.root.ended_at is None and output is None:
        worst = _worst(tree.spans)
        return (worst, False) if worst is not None else (Errored(reason="nothing says how it ended"), False)
    if output is not None or tree.root.ended_at is not None:
        return Ok(), True
    worst = _worst(tree.models or tree.spans)
    return (worst, True) if worst is not None else (Errored(reason="nothing says how it ended"), False)


def _worst(spans: Iterable[Span]) -> Outcome | None:
    """The worst that is said: failed before errored before ok; of equals the last by its words."""
    found = [one.outcome for one in spans if one.outcome is not None]
    return max(found, key=lambda one: (_BADNESS[type(one)], str(encode(one))), default=None)


def _latency(tree: _Tree) -> float | None:
    """The root's duration; without an end of its own, from the first start to the last end. Milliseconds."""
    root = tree.root
    if root.started_at is not None and root.ended_at is not None and root.kind is not SpanKind.EVENT:
        return round(max(root.ended_at - root.started_at, 0.0) * 1000, 3)
    starts = [one.started_at for one in tree.spans if one.started_at is not None]
    ends = [one.ended_at for one in tree.spans if one.ended_at is not None]
    if not starts or not ends:
        return None
    return round(max(max(ends) - min(starts), 0.0) * 1000, 3)


def _unit(
    tree: _Tree,
    kind: UnitKind,
    inputs: Mapping[str, Any],
    conversation: Callable[[str], UnitId] | None,
) -> tuple[UnitId, UnitFrom]:
    trace_id = TraceId(tree.root.trace_id)
    if kind is UnitKind.REQUEST:
        return UnitId(trace_id), UnitFrom.TRACE
    for who in ("unit", *_BY_KIND[kind]):
        for one in _rooted(tree):
            if value := one.people.get(who):
                return UnitId(value), UnitFrom.STATED if who == "unit" else UnitFrom.METADATA
    if conversation is not None and (first := _first_said(inputs)):
        return conversation(first), UnitFrom.FIRST_USER_MESSAGE
    return UnitId(trace_id), UnitFrom.TRACE


def _first_said(inputs: Mapping[str, Any]) -> str | None:
    messages = inputs.get(MESSAGES)
    for one in messages if isinstance(messages, list) else ():
        if isinstance(one, Mapping) and one.get("role") == "user" and isinstance(one.get("content"), str):
            return str(one["content"])
    return None


def _one(tree: _Tree, name: str, attributes: dict[str, Any]) -> Any:
    """What spans say of configuration or assignment: the root's word, else the first."""
    found = [value for one in _rooted(tree) if (value := getattr(one, name)) is not None]
    if not found:
        return None
    others = [value for value in found if value != found[0]]
    if others:
        attributes.setdefault(CONTRADICTIONS, []).append(
            {"of": name.removesuffix("_id"), "spans": len(others) + 1}
        )
    return found[0]


def _attributes(tree: _Tree, model: Span | None, unit_from: UnitFrom) -> dict[str, Any]:
    """The root's, what the first model was asked with, and what sent it."""
    found: dict[str, Any] = {}
    for one in (tree.root, model):
        resource = None if one is None else one.attributes.get(RESOURCE)
        if isinstance(resource, Mapping):
            for name in _RESOURCE:
                if name in resource:
                    found.setdefault(name, resource[name])
    if model is not None and model is not tree.root:
        found |= {
            name: value
            for name, value in model.attributes.items()
            if name.startswith(_KEPT) and name not in _OWN
        }
    found |= {
        name: value
        for name, value in tree.root.attributes.items()
        if not name.startswith("otel.") and name not in _OWN
    }
    answered = _last(tree.models)
    if answered is not None and (calls := answered.attributes.get(_CALLS)) is not None:
        found[_CALLS] = calls
    for name in (CALL, APPLICATION_SAID):
        said = next((one.attributes[name] for one in _rooted(tree) if name in one.attributes), None)
        if said is not None:
            found[name] = said
    if tree.root.name:
        found[NAME] = tree.root.name
    found[SPANS] = len(tree.spans)
    if unit_from.derived:
        found[DERIVED] = {"unit": unit_from.value}
    return found
