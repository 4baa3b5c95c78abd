"""Values that ``inchworm.yaml`` writes in its own way: durations, shares, names, references to secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Discriminator, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from inchworm.app.config.problems import shown
from inchworm.domain.attributes import as_text
from inchworm.evaluators.checks import CHECKS
from inchworm.evaluators.nearest import did_you_mean
from inchworm.evaluators.score import BUILTINS

EXPECTED = "expected"
"""Type of an error whose context says what was expected; the reader adds what came."""
EITHER = "either"
"""The same, with what was expected as its message."""
REFUSED = "refused"
"""Type of an error whose context says all there is to say; the value is not repeated."""

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([smhd])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_MONEY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?USD")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_KEY_REFERENCE = re.compile(rf"{_REFERENCE.pattern}|file:/[^\x00-\x20\x7f]{{1,4000}}")


def expected(what: str) -> PydanticCustomError:
    """The error "must be ``what``, not …"."""
    return PydanticCustomError(EXPECTED, "must be {what}", {"what": what})


def refused(what: str) -> PydanticCustomError:
    """The error that says ``what`` and does not repeat the value."""
    return PydanticCustomError(REFUSED, "{what}", {"what": what})


def duration(value: Any) -> float:
    """Seconds of ``90s``, ``30m``, ``24h`` or ``7d``."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise expected("a duration such as 90s, 30m, 24h or 7d")
    return float(match[1]) * _SECONDS[match[2]]


def share(value: Any) -> float:
    """A share in [0, 1], written ``5%`` or ``0.05``."""
    what = "a share such as 5% or 0.05"
    if isinstance(value, str):
        match = _PERCENT.fullmatch(value)
        if match is None:
            raise expected(what)
        # Divided, not multiplied by 0.01: 5 / 100 is the double that 0.05 is.
        number = float(match[1]) / 100
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise expected(what)
    else:
        number = float(value)
    if not 0 <= number <= 1:
        raise expected(f"{what}, between 0 and 1")
    return number


def money(value: Any) -> float:
    """US dollars of ``5 USD`` or ``0.50 USD``; more than nothing."""
    match = _MONEY.fullmatch(value) if isinstance(value, str) else None
    if match is None or not float(match[1]):
        raise expected("an amount such as 5 USD or 0.50 USD, more than nothing")
    return float(match[1])


def audience(value: Any) -> dict[str, tuple[str, ...]]:
    """Who takes part: for each attribute one value, or a list of those that will do."""
    if not isinstance(value, dict) or not value:
        raise expected("attributes with their values, as in {tenant: [acme, globex]}")
    found: dict[str, tuple[str, ...]] = {}
    for name, said in value.items():
        values = [as_text(one) for one in (said if isinstance(said, list | tuple) else [said])]
        if not isinstance(name, str) or not name or not values or None in values:
            raise refused("must name texts, numbers, true or false for each attribute")
        found[name] = tuple(dict.fromkeys(one for one in values if one is not None))
    return found


def _reference(value: Any) -> Any:
    if not isinstance(value, str) or _REFERENCE.fullmatch(value) is None:
        raise refused(
            "must say where the key is, as in env:OPENAI_API_KEY; the key itself does not belong here"
        )
    return value


def _key_reference(value: Any) -> Any:
    if not isinstance(value, str) or _KEY_REFERENCE.fullmatch(value) is None:
        raise refused(
            "must say where the key is, as in env:OPENAI_API_KEY or file:/run/secrets/openai; "
            "the key itself does not belong here"
        )
    return value


def _base_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname)
        secret = "@" in parts.netloc
    except ValueError:
        named = secret = False
    if secret:
        raise refused(
            "must not hold a user name or a password; name the key in api_key, as in env:OPENAI_API_KEY"
        )
    if not named:
        raise expected("a URL such as https://api.openai.com/v1")
    return value


def _one_of(names: Collection[str], what: str) -> AfterValidator:
    def known(value: str) -> str:
        if value not in names:
            raise refused(f'names the {what} "{value}", which does not exist.{did_you_mean(value, names)}')
        return value

    return AfterValidator(known)


def choices(value: Any, names: Iterable[str]) -> PydanticCustomError | None:
    """The error of a value that is none of ``names``; nothing if it is one."""
    known = list(names)
    if value in known:
        return None
    near = did_you_mean(value, known) if isinstance(value, str) else ""
    # Where none is near, the list that stands in front already is all there is to say.
    mean = f".{near}" if near.startswith(" Did") else ""
    return refused(f"must be {', '.join(known[:-1])} or {known[-1]}, not {shown(value)}{mean}")


def word(*names: str) -> tuple[BeforeValidator, WithJsonSchema]:
    """Annotations for a text that is one of ``names``."""

    def known(value: Any) -> Any:
        error = choices(value, names)
        if error is not None:
            raise error
        return value

    return BeforeValidator(known), WithJsonSchema({"type": "string", "enum": list(names)})


def _kind(value: Any) -> str | None:
    match value:
        case str():
            return "<text>"
        case list():
            return "<list>"
        case dict() | BaseModel():  # a model when it is written back
            return "<mapping>"
    return None


TEXT, LIST, MAPPING = Tag("<text>"), Tag("<list>"), Tag("<mapping>")
"""Which branch of a union a value takes; error paths leave them out (no key begins with ``<``)."""


def either(what: str) -> Discriminator:
    """Chooses a branch by the kind of value, so that an error speaks of that branch alone."""
    # Without a context, which would make the annotation unhashable: the message is ``what`` itself.
    return Discriminator(_kind, custom_error_type=EITHER, custom_error_message=what)


def _filled(value: str) -> str:
    if not value:
        raise refused("must not be empty")
    return value


def _check(value: dict[str, Any]) -> dict[str, Any]:
    if len(value) != 1:
        raise refused("must be one check: a name, or a name with its argument, as in {max_words: 120}")
    return value


_CHECK_SCHEMA = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        name: {"description": f"{check.doc} Argument: {check.argument}."}
        for name, check in CHECKS.items()
        if check.argument is not None
    },
}

Text = Annotated[str, AfterValidator(_filled), WithJsonSchema({"type": "string", "minLength": 1})]
Duration = Annotated[
    float, BeforeValidator(duration), WithJsonSchema({"type": "string", "pattern": "^[0-9.]+ ?[smhd]$"})
]
Money = Annotated[
    float, BeforeValidator(money), WithJsonSchema({"type": "string", "pattern": "^[0-9.]+ ?USD$"})
]
Share = Annotated[float, BeforeValidator(share), WithJsonSchema({"type": ["number", "string"]})]
Reference = Annotated[
    str, BeforeValidator(_reference), WithJsonSchema({"type": "string", "pattern": f"^{_REFERENCE.pattern}$"})
]
KeyReference = Annotated[
    str,
    BeforeValidator(_key_reference),
    WithJsonSchema({"type": "string", "pattern": f"^({_REFERENCE.pattern}|file:/.+)$"}),
]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
_VALUE = {"type": ["string", "number", "boolean"]}
Audience = Annotated[
    dict[str, tuple[str, ...]],
    BeforeValidator(audience),
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"anyOf": [_VALUE, {"type": "array", "items": _VALUE, "minItems": 1}]},
        }
    ),
]
Builtin = Annotated[
    str, _one_of(BUILTINS, "builtin metric"), WithJsonSchema({"type": "string", "enum": list(BUILTINS)})
]
CheckName = Annotated[str, _one_of(CHECKS, "check"), WithJsonSchema({"type": "string", "enum": list(CHECKS)})]
CheckCall = Annotated[dict[str, Any], AfterValidator(_check), WithJsonSchema(_CHECK_SCHEMA)]
