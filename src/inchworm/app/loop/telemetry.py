"""Spans to the store, and all that is known of a trace to its interaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from inchworm.app.house import House
from inchworm.app.loop.costing import Costs
from inchworm.app.loop.intake import Drain, Intake
from inchworm.app.loop.postponing import Postponed
from inchworm.capture.fields import conversation_of
from inchworm.capture.telemetry import fold
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InchwormError, StoreError
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.mistakes import MISTAKES, where
from inchworm.domain.span import Span, merged
from inchworm.store.traces import SpansPut

_LOG = logging.getLogger(__name__)
_Spans = dict[str, Span]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of spans.

    Attributes:
        spans: what the store says of them.
        traces: what became of the interactions that they belong to.
    """

    spans: SpansPut
    traces: Intake


def store_spans(
    house: House, drain: Drain, costs: Costs, spans: Sequence[Span], *, postponed: Postponed | None = None
) -> Told:
    """Store spans, and tell anew the interactions that they belong to.

    Killed after the spans were stored, it is done again: all interactions of the batch are told from what the
    store holds, whether their spans are new or not, so that it comes to the same.

    Args:
        house: where they go.
        drain: stores interactions.
        costs: says what they cost.
        spans: sanitized ones of the house's app, whose assignments are possible.
        postponed: keeps which interactions are told later, if any may be.

    Raises:
        InputError: if one cannot be stored; the spans may be stored then, but no interaction is.
    """
    put = house.traces.put_spans(spans)
    batch: dict[tuple[AppRef, TraceId], _Spans] = {}
    for span in spans:
        known = batch.setdefault((span.app, span.trace_id), {})
        before = known.get(span.id)
        known[span.id] = span if before is None else merged(before, span)
    if postponed is not None and (later := postponed.postpone(put.sizes, house.now())):
        batch = {place: some for place, some in batch.items() if place[1] not in later}
    whole = {place: tuple(some.values()) for place, some in batch.items()}
    elsewhere = put.known if put.new == len(spans) else {trace_id for _, trace_id in batch}
    for app in {app for app, trace_id in batch if trace_id in elsewhere}:
        stored = house.traces.spans(app, [id_ for of, id_ in batch if of == app and id_ in elsewhere])
        whole |= {(app, id_): some for id_, some in stored.items()}
    return Told(spans=put, traces=_tell(house, drain, costs, list(whole.values())))


def tell_anew(house: House, drain: Drain, costs: Costs, postponed: Postponed) -> int:
    """Tell what was postponed until now, of what is stored; how many interactions that changed.

    Raises:
        StoreError: if the store cannot be used; then it stays postponed.
    """
    now = house.now()
    changed = 0
    for trace_id in postponed.due(now):
        some = house.traces.spans(house.app, [trace_id]).get(trace_id, ())
        try:
            told = _tell(house, drain, costs, [some] if some else [])
        except StoreError:
            raise
        except (InchwormError, *MISTAKES) as error:
            _LOG.warning("%s could not be told anew and stays as it was: %s", trace_id, where(error))
        else:
            changed += told.new + told.anew
        postponed.told({trace_id: len(some)}, now)
    return changed


def _tell(house: House, drain: Drain, costs: Costs, each: Sequence[Sequence[Span]]) -> Intake:
    unit, conversation = (
        house.spec.policy.unit,
        partial(_conversation, house, cache(lambda: _unit_key(house))),
    )
    return drain.take_anew([costs(fold(some, unit=unit, conversation=conversation)) for some in each])


def _unit_key(house: House) -> bytes:
    return derive(house.key(), Purpose.UNIT)


def _conversation(house: House, key: Callable[[], bytes], first_message: str) -> UnitId:
    """The same as for a call through a gateway: hashed there, and given its pseudonym in the drain."""
    return house.pseudonym(conversation_of(first_message, key()))
