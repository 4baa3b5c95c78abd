"""LangSmith's runs: ``{"post": [run, ...], "patch": [run, ...]}``, as its client sends them in batches.

A run is told twice, when it starts and when it ends; what ends it is the later word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.conversing import conversation
from inchworm.capture.telemetry.items import (
    decoded,
    encoded,
    identifier,
    shortened,
    storable,
    time_of,
    usage_of,
)
from inchworm.capture.telemetry.outcomes import of_error
from inchworm.capture.telemetry.plain import json_of, said
from inchworm.capture.telemetry.refused import Refused
from inchworm.capture.telemetry.spans import CUT, finish_of, inputs_of, note
from inchworm.capture.telemetry.told import Told
from inchworm.capture.values import kind_of
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Ok, Outcome
from inchworm.domain.span import Span, SpanKind

KINDS = {
    "llm": SpanKind.LLM,
    "chain": SpanKind.CHAIN,
    "tool": SpanKind.TOOL,
    "retriever": SpanKind.RETRIEVER,
    "embedding": SpanKind.EMBEDDING,
    "prompt": SpanKind.CHAIN,
    "parser": SpanKind.CHAIN,
}
"""What each type of run is."""
_LATER_S = 1e-4  # what patches a run is the later word, also at the same moment
_TAKEN = frozenset(
    "id trace_id parent_run_id name run_type start_time end_time inputs outputs error extra dotted_order "
    "reference".split()
)

Made = TypeVar("Made")


def check(body: bytes) -> int:
    """How many runs it holds.

    Raises:
        InputError: if it holds no lists of runs, or none of them has an id.
    """
    runs = list(_runs(decoded(body)))
    if runs and not any(isinstance(run, dict) and said(run.get("id")) for _, run in runs):
        raise InputError("none of its runs has an id")
    return len(runs)


def spans(body: bytes, app: AppRef, then: Callable[[Span], Made]) -> Iterator[Made | Refused]:
    """The runs as spans, one by one.

    Args:
        body: lists of runs.
        app: where they happened.
        then: what becomes of each; raises InputError for one that cannot be.

    Raises:
        InputError: if it holds no lists of runs.
    """
    runs = list(_runs(decoded(body)))
    groups = [group for group, _ in runs]
    for group, run in zip(groups, storable((run for _, run in runs), body), strict=True):
        try:
            span: Made | Refused = then(_span(run, app, ends=group == "patch"))
        except InputError as error:
            span = Refused(reason=error.message, body=encoded({group: [run]}))
        yield span


def _runs(value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise InputError(f"runs come in an object with post and patch, not in {kind_of(value)}")
    for group in ("post", "patch"):
        runs = value.get(group)
        if runs is None:
            continue
        if not isinstance(runs, list):
            raise InputError(f"{group} is {kind_of(runs)}; an array of runs is expected")
        yield from ((group, run) for run in runs)


def _span(run: Any, app: AppRef, *, ends: bool) -> Span:
    if not isinstance(run, dict):
        raise InputError(f"a run is an object, not {kind_of(run)}")
    id_ = identifier(run, "id")
    if id_ is None:
        raise InputError("it has no id")
    trace_id = identifier(run, "trace_id") or _root(run) or (None if run.get("parent_run_id") else id_)
    if trace_id is None:
        raise InputError(
            "it has neither trace_id nor dotted_order, so nobody knows which trace it belongs to"
        )
    started, ended = time_of(run.get("start_time"), "start_time"), time_of(run.get("end_time"), "end_time")
    if started is not None and ended is not None and ended < started:
        raise InputError("it ended before it started")
    told = _told(run)
    told.first_at(_first_token(run), started)
    word = run.get("run_type")
    moment = started if ended is None else ended
    return Span(
        app=app,
        trace_id=TraceId(trace_id),
        id=id_,
        parent_id=identifier(run, "parent_run_id"),
        name=said(run.get("name")) or "",
        kind=KINDS.get(word, SpanKind.OTHER) if isinstance(word, str) else SpanKind.OTHER,
        started_at=started,
        ended_at=ended,
        outcome=_outcome(run.get("error"), ended),
        model=told.model or told.asked,
        usage=usage_of(told),
        inputs=inputs_of(told),
        output=told.output,
        finish_reason=finish_of(told),
        people=told.people,
        reference=told.reference,
        attributes=_attributes(run, told),
        revision=(moment or 0.0) + (_LATER_S if ends else 0.0),
    )


def _root(run: Mapping[str, Any]) -> str | None:
    """The root's id, the first in ``dotted_order``: ``20261122T102958390741Z<id>.20261122T...Z<id>``."""
    order = run.get("dotted_order")
    if not isinstance(order, str):
        return None
    return order.partition(".")[0].partition("Z")[2] or None


def _outcome(error: Any, ended: float | None) -> Outcome | None:
    if error is None or error == "":
        return None if ended is None else Ok()
    return of_error(None, error if isinstance(error, str) else str(error))


def _told(run: Mapping[str, Any]) -> Told:
    told = Told()
    chat = run.get("run_type") == "llm"
    asked, answered = run.get("inputs"), run.get("outputs")
    extra = run.get("extra")
    extra = extra if isinstance(extra, dict) else {}
    about = extra.get("metadata")
    about = about if isinstance(about, dict) else {}
    if chat:
        told.parameters(extra.get("invocation_params"))
        _asked(asked, told)
        _answered(answered, told)
        told.asked = told.asked or said(about.get("ls_model_name"))
        for name in ("temperature", "max_tokens", "stop"):
            told.parameter(name, about.get(f"ls_{name}"))
        if (provider := said(about.get("ls_provider"))) is not None:
            told.attributes[names.PROVIDER] = provider
        told.usage(about.get("usage_metadata"))
    else:
        told.went_in(asked, chat=False)
        told.came_out(answered, chat=False)
    told.metadata(about)
    told.reference = run.get("reference")
    return told


def _asked(value: Any, told: Told) -> None:
    """A model's inputs: a request as OpenAI takes it, LangChain's messages, or prompts."""
    if isinstance(value, dict) and isinstance(prompts := value.get("prompts"), list) and prompts:
        told.messages = conversation(prompts, role="user")
        rest = {name: one for name, one in value.items() if name != "prompts"}
        told.parameters(rest)
        return
    told.went_in(value, chat=True)
    if told.messages is not None:
        told.inputs = None


def _answered(value: Any, told: Told) -> None:
    """A model's outputs: a completion as OpenAI gives it, LangChain's generations, or a message."""
    if not isinstance(value, dict):
        told.came_out(value, chat=True)
        return
    told.usage(value.get("usage_metadata"))
    output = value.get("llm_output")
    if isinstance(output, dict):
        told.model = told.model or said(output.get("model_name", output.get("model")))
        told.usage(output.get("token_usage", output.get("usage")))
    generation = _first(value.get("generations"))
    if isinstance(generation, dict):
        _generation(generation, told)
        return
    shown = {name: one for name, one in value.items() if name not in {"usage_metadata", "llm_output"}}
    if shown.get("output") is not None and len(shown) == 1:
        told.came_out(shown["output"], chat=True)
    elif any(one is not None for one in shown.values()):
        told.came_out(shown, chat=True)


def _first(value: Any) -> Any:
    while isinstance(value, list):
        value = value[0] if value else None
    return value


def _generation(generation: Mapping[str, Any], told: Told) -> None:
    message = generation.get("message")
    answer = conversation(message) if message is not None else None
    if answer is not None:
        told.answered(answer)
        held = message.get("kwargs", message.get("data", message)) if isinstance(message, dict) else {}
        if isinstance(held, dict):
            told.usage(held.get("usage_metadata"))
            metadata = held.get("response_metadata")
            if isinstance(metadata, dict):
                told.model = told.model or said(metadata.get("model_name", metadata.get("model")))
                told.usage(metadata.get("token_usage", metadata.get("usage")))
    elif isinstance(text := generation.get("text"), str):
        told.output = text
    about = generation.get("generation_info")
    if isinstance(about, dict):
        told.finish_reason = told.finish_reason or said(about.get("finish_reason"))


def _first_token(run: Mapping[str, Any]) -> float | None:
    events = run.get("events")
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict) and event.get("name") == "new_token":
            return time_of(event.get("time"), "first token's time")
    return None


def _attributes(run: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """What else a run says, under ``langsmith.``; its metadata one by one."""
    found: dict[str, Any] = {}
    for name, value in run.items():
        if name not in _TAKEN and value not in (None, [], {}):
            found[f"langsmith.{name}"] = value
    extra = run.get("extra")
    if isinstance(extra, dict):
        for name, value in extra.items():
            if name == "metadata" and isinstance(value, dict):
                found |= {
                    f"langsmith.metadata.{one}": held for one, held in value.items() if held is not None
                }
            elif value not in (None, [], {}):
                found[f"langsmith.extra.{name}"] = value
    if isinstance(error := run.get("error"), str) and error:
        found["langsmith.error"] = error
    outputs = run.get("outputs")
    if (
        isinstance(outputs, dict)
        and run.get("run_type") == "retriever"
        and isinstance(outputs.get("output"), list)
    ):
        found[names.DOCUMENTS] = [_document(one) for one in outputs["output"]]
    note(told, found)
    return shortened(found, CUT)


def _document(one: Any) -> Any:
    if isinstance(one, dict) and "page_content" in one:
        metadata = json_of(one.get("metadata"))
        rest = {"metadata": metadata} if metadata else {}
        return {"content": one["page_content"], **rest}
    return one
