"""Code checks: named, versioned, pure. Each says of one answer whether it holds.

A metric names one with ``{"check": NAME}`` or ``{"check": {NAME: ARGUMENT}}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from inchworm.domain.canonical import canonical
from inchworm.domain.errors import UsageError
from inchworm.domain.outcome import Result, Scored, Unscored
from inchworm.evaluators.nearest import did_you_mean
from inchworm.evaluators.schema import fits, validate
from inchworm.evaluators.text import normal, sentences, stands_in, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a check sees.

    Attributes:
        output: the answer.
        reference: a right answer, if there is one.
        finish_reason: the provider's word, if it said one.
    """

    output: str
    reference: Any = None
    finish_reason: str | None = None


Run = Callable[[Answer], Result]
"""A check with its argument read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One entry of the registry.

    Attributes:
        version: counts up when the same answer may score differently.
        doc: what it checks, for people.
        argument: what its argument is, or ``None`` if it takes none.
        bind: reads the argument (``None`` if there was none); raises ``UsageError`` if it does not fit.
    """

    version: int
    doc: str
    argument: str | None
    bind: Callable[[Any], Run]


def parse(spec: Any) -> tuple[str, Any]:
    """The name and the argument in ``NAME`` or ``{NAME: ARGUMENT}``.

    Raises:
        UsageError: for other shapes and for names that do not exist.
    """
    match spec:
        case str():
            name, argument = spec, None
        case Mapping() if len(spec) == 1:
            ((name, argument),) = spec.items()
        case _:
            msg = f"a check is a name, or a name with its argument, not {spec!r}"
            raise UsageError(msg, hint="e.g. check: contains_reference, or check: {max_words: 120}")
    if name not in CHECKS:
        raise UsageError(f'there is no check "{name}".' + did_you_mean(str(name), CHECKS))
    return name, argument


def bind(spec: Any) -> Run:
    """The check that ``spec`` names, ready to run.

    Raises:
        UsageError: if the name does not exist or the argument does not fit.
    """
    if isinstance(spec, str) and spec in CHECKS:
        return _bare(spec)
    name, argument = parse(spec)
    check = CHECKS[name]
    if argument is not None and check.argument is None:
        raise UsageError(f"the check {name} takes no argument, not {argument!r}")
    try:
        key = canonical({name: argument})
    except ValueError as error:
        raise UsageError(f"the argument of the check {name} is no JSON value: {error}") from error
    return _bound(key)


def run(spec: Any, answer: Answer) -> Result:
    """What the check that ``spec`` names says of ``answer``.

    Raises:
        UsageError: as :func:`bind`.
    """
    return bind(spec)(answer)


@lru_cache(maxsize=64)
def _bare(name: str) -> Run:
    """A check without an argument, as most are: found by its name alone."""
    return CHECKS[name].bind(None)


@lru_cache(maxsize=256)
def _bound(key: str) -> Run:
    ((name, argument),) = json.loads(key).items()
    return CHECKS[name].bind(argument)


def _holds(value: bool) -> Scored:  # noqa: FBT001  # the one thing it is about
    return Scored(value=1.0 if value else 0.0)


def _alternatives(reference: Any) -> list[str] | None:
    """The texts of which any is right, in normal form; ``None`` if that is not what the reference is."""
    given = reference if isinstance(reference, list | tuple) else [reference]
    if not all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in given):
        return None
    texts = [normal(str(item)) for item in given]
    return [text for text in texts if text] or None


def _against_reference(test: Callable[[list[str], str], bool]) -> Callable[[Any], Run]:
    def bound(answer: Answer) -> Result:
        if answer.reference is None:
            return Unscored(reason="no reference")
        right = _alternatives(answer.reference)
        if right is None:
            return Unscored(reason="the reference is no text and no list of texts")
        return _holds(test(right, normal(answer.output)))

    return lambda _: bound


def _texts(name: str, argument: Any) -> list[str]:
    texts = [argument] if isinstance(argument, str) else argument
    if not isinstance(texts, list) or not texts:
        raise UsageError(f"{name} needs a text or a list of texts, not {argument!r}")
    for text in texts:
        if not isinstance(text, str) or not normal(text):
            raise UsageError(f"{name} needs a text or a list of texts, not {argument!r}")
    return [normal(text) for text in texts]


def _not_contains(argument: Any) -> Run:
    texts = _texts("not_contains", argument)

    def bound(answer: Answer) -> Result:
        output = normal(answer.output)
        return _holds(not any(stands_in(text, output) for text in texts))

    return bound


def _pattern(name: str, *, wanted: bool) -> Callable[[Any], Run]:
    def read(argument: Any) -> Run:
        if not isinstance(argument, str):
            raise UsageError(f"{name} needs a pattern, not {argument!r}")
        try:
            pattern = re.compile(argument)
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(f'{name}: "{argument}" is no regular expression: {error}') from error
        return lambda answer: _holds((pattern.search(answer.output) is not None) is wanted)

    return read


def _words(name: str, test: Callable[[int, int], bool]) -> Callable[[Any], Run]:
    def read(argument: Any) -> Run:
        if isinstance(argument, bool) or not isinstance(argument, int) or argument < 0:
            raise UsageError(f"{name} needs a number of words, not {argument!r}")
        limit = argument
        return lambda answer: _holds(test(words(answer.output), limit))

    return read


_STOPPED = frozenset({"stop", "end_turn", "stop_sequence", "eos", "eos_token"})
_CALLED = frozenset({"tool_calls", "tool_use", "function_call"})


def _complete(_: Any) -> Run:
    def bound(answer: Answer) -> Result:
        if answer.finish_reason is None:
            return Unscored(reason="the provider did not say why it stopped")
        return _holds(answer.finish_reason.casefold() in _STOPPED | _CALLED)

    return bound


def _json(argument: Any) -> Run:
    schema = {} if argument is None else argument
    validate(schema)

    def bound(answer: Answer) -> Result:
        try:
            value = json.loads(answer.output, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return _holds(False)  # noqa: FBT003  # it does not hold
        return _holds(fits(schema, value))

    return bound


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")  # RFC 8259 knows neither NaN nor Infinity


def _one_sentence(_: Any) -> Run:
    return lambda answer: _holds(sentences(answer.output) == 1)


CHECKS: Mapping[str, Check] = {
    "contains_reference": Check(
        version=1,
        doc="The reference, or any of a list of references, stands in the answer as whole words and numbers; "
        "case, white space, quotes and Markdown emphasis do not matter. Not scored without a reference.",
        argument=None,
        bind=_against_reference(lambda right, output: any(stands_in(text, output) for text in right)),
    ),
    "equals": Check(
        version=1,
        doc="The answer is the reference, or any of a list of references, apart from case, white space, "
        "quotes and Markdown emphasis. Not scored without a reference.",
        argument=None,
        bind=_against_reference(lambda right, output: output in right),
    ),
    "not_contains": Check(
        version=1,
        doc="None of the texts stands in the answer, read as contains_reference reads it.",
        argument="a text, or a list of texts",
        bind=_not_contains,
    ),
    "regex": Check(
        version=1,
        doc="The pattern is found in the answer as it is (Python's syntax; ^ and $ are its ends).",
        argument="a regular expression",
        bind=_pattern("regex", wanted=True),
    ),
    "not_regex": Check(
        version=1,
        doc="The pattern is not found in the answer as it is.",
        argument="a regular expression",
        bind=_pattern("not_regex", wanted=False),
    ),
    "max_words": Check(
        version=1,
        doc="The answer has at most that many words.",
        argument="a number of words",
        bind=_words("max_words", lambda count, limit: count <= limit),
    ),
    "min_words": Check(
        version=1,
        doc="The answer has at least that many words.",
        argument="a number of words",
        bind=_words("min_words", lambda count, limit: count >= limit),
    ),
    "complete": Check(
        version=1,
        doc="The model stopped by itself, at a stop text or for a tool call, not at a limit or a filter. "
        "Not scored if the provider does not say.",
        argument=None,
        bind=_complete,
    ),
    "json": Check(
        version=1,
        doc="The answer is one JSON value and nothing else, and fits the schema if one is given "
        "(type, required, properties, items, enum of JSON Schema).",
        argument="a schema; may be left out",
        bind=_json,
    ),
    "one_sentence": Check(
        version=1,
        doc="The answer is exactly one sentence. A line break ends one, an abbreviation does not.",
        argument=None,
        bind=_one_sentence,
    ),
}
"""Every check by its name."""
