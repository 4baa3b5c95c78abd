"""Members of ``trace/1`` that an interaction and its steps have in common."""

from __future__ import annotations

from difflib import get_close_matches

from inchworm.capture.fields import Fields, outcome_of
from inchworm.capture.values import quoted
from inchworm.domain.errors import InputError
from inchworm.domain.outcome import Ok, Outcome, decode_outcome
from inchworm.domain.trace import UNKNOWN_USAGE, Usage


def read_usage(fields: Fields) -> Usage:
    """Tokens and cost.

    Raises:
        InputError: if one is no such number, or unknown.
    """
    members = fields.mapping("usage")
    if not members:
        return UNKNOWN_USAGE
    inner = Fields(members, "usage")
    usage = Usage(
        input_tokens=inner.count("input_tokens"),
        output_tokens=inner.count("output_tokens"),
        cost_usd=inner.number("cost_usd", least=0),
    )
    refuse_unknown(inner, ("input_tokens", "output_tokens", "cost_usd"))
    return usage


def usage_members(usage: Usage) -> dict[str, float]:
    """The inverse of :func:`read_usage`; what is not known is left out."""
    members = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": usage.cost_usd,
    }
    return {name: value for name, value in members.items() if value is not None}


def read_outcome(fields: Fields) -> Outcome:
    """What became of it; ok if nothing is said.

    Raises:
        InputError: if it is none.
    """
    value = fields.take("outcome")
    if value is None:
        return outcome_of(None, None)
    if value == "ok":
        return Ok()
    try:
        return decode_outcome(value)
    except ValueError as error:
        raise InputError(
            'outcome is {"is": "ok"}, {"is": "failed", "reason": "..."} or {"is": "errored", "reason": "..."}'
        ) from error


def refuse_unknown(fields: Fields, known: tuple[str, ...]) -> None:
    """Refuse members that nobody took.

    Raises:
        InputError: if there is one; it names the nearest right one.
    """
    for name in fields.left:
        near = get_close_matches(name.lower(), known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else "what else there is to say belongs into attributes"
        where = f"{fields.path} has" if fields.path else "it has"
        raise InputError(f"{where} the unknown {quoted(name)}; {hint}")
