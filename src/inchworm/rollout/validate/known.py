"""What validation is given, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer
from inchworm.providers.catalogue import Catalogue

CHARACTERS_PER_TOKEN = 4
"""A token of English is about four characters; the estimate is said to be one wherever it decides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What recorded interactions say of one call.

    Attributes:
        inputs: names of the variables that every recorded input has; ``None`` if none was recorded.
        longest: the inputs that render longest, a few of them.
        seconds_per_token: the fastest that answers were written, by the model's name; seconds per token.
    """

    inputs: frozenset[str] | None = None
    longest: tuple[Mapping[str, Any], ...] = ()
    seconds_per_token: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What validation may use of the app's traffic. Nothing known means nothing is checked against it.

    Attributes:
        inputs: names of the variables that every recorded input has.
        longest: the inputs that render longest, a few of them.
        seconds_per_token: the fastest that answers were written, by the model's name; seconds per token.
        calls: the same of calls that have values of their own, by their names.
        catalogue: what is known of models.
        tools: names of tools that belong to base or candidate, so that a prompt can be seen to name one.
        recorded: digests of the requests that a recording answers; ``None`` without a recording.
        accepted: messages of what stable runs with already: no reason to refuse a change.
        also: validators that were installed beside ours: what each looks at, and the function that looks.
    """

    inputs: frozenset[str] | None = None
    longest: tuple[Mapping[str, Any], ...] = field(default=())
    seconds_per_token: Mapping[str, float] = field(default_factory=dict)
    calls: Mapping[str, Recorded] = field(default_factory=dict)
    catalogue: Catalogue = field(default_factory=Catalogue)
    tools: frozenset[str] = frozenset()
    recorded: Collection[str] | None = None
    accepted: frozenset[str] = frozenset()
    also: tuple[tuple[str, Callable[[Configuration, Known], Sequence[Problem]]], ...] = ()

    def of(self, call: str) -> Known:
        """What is known of one call: nothing of its inputs, if none of it was recorded."""
        said = self.calls.get(call, Recorded())
        return replace(
            self, inputs=said.inputs, longest=said.longest, seconds_per_token=said.seconds_per_token
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a configuration cannot run, or why it may not do what is wanted.

    Attributes:
        layers: the layers that contradict each other, or the one that is wrong by itself.
        message: one sentence with the values.
        certain: whether it cannot run; if not, it is said and refuses nothing.
    """

    layers: tuple[Layer, ...]
    message: str
    certain: bool = True


Validator = Callable[[Configuration, Known], Sequence[Problem]]
