"""Errors as they travel: a code and an HTTP status for each kind, and the kind for each code."""

from __future__ import annotations

from collections.abc import Mapping

from inchworm.domain.errors import (
    ConfigError,
    ConflictError,
    InchwormError,
    InFlightError,
    InputError,
    NotFoundError,
    NotIdentifiableError,
    ProviderError,
    StaleBaseError,
    StoreError,
    TemplateError,
    TransitionError,
    UsageError,
)

CODES: Mapping[type[InchwormError], tuple[str, int]] = {
    UsageError: ("usage", 400),
    ConfigError: ("config", 422),
    InputError: ("input", 422),
    TemplateError: ("template", 422),
    NotFoundError: ("not_found", 404),
    ConflictError: ("conflict", 409),
    StaleBaseError: ("stale_base", 409),
    InFlightError: ("in_flight", 409),
    TransitionError: ("transition", 409),
    NotIdentifiableError: ("not_identifiable", 422),
    ProviderError: ("provider", 502),
    StoreError: ("store", 503),
}
"""Code and HTTP status of every kind of error; a kind that is not here has those of its nearest parent."""
VALUE = "value"
"""The code of a :class:`ValueError` of a store: its arguments contradict each other."""


def code_of(error: InchwormError) -> tuple[str, int]:
    """Code and HTTP status of an error."""
    for kind in type(error).__mro__:
        if kind in CODES:
            return CODES[kind]
    return "error", 500


def error_of(code: str, message: str, hint: str | None) -> Exception:
    """The error that a code stands for; of one that this version does not know, the root of them all."""
    if code == VALUE:
        return ValueError(message)
    kinds = {known: kind for kind, (known, _) in CODES.items()}
    return kinds.get(code, InchwormError)(message, hint=hint)
