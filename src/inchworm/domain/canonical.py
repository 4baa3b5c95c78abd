"""Canonical JSON (RFC 8785) and the digests that identify values.

Two values are the same value exactly if their canonical bytes are. Everything that is pinned by a
hash (configurations, plans, requests, cases) goes through this module.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence

_KNOWN = "only null, booleans, finite numbers, strings, arrays and objects with string keys have one"

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""What JSON can say (RFC 8259). Integers that no double equals have no canonical form."""

_MAX_SAFE = 2**53 - 1
_PLAIN_EXPONENT = 21


def canonical(value: object) -> str:
    """The canonical JSON text of ``value`` (RFC 8785).

    Object members are sorted by the UTF-16 code units of their names (section 3.2.3), numbers are
    written as ECMAScript does (section 3.2.2.3), strings with the shortest escapes (3.2.2.2).

    Raises:
        ValueError: for NaN, infinities, integers that no double equals, lone surrogates and types that
            JSON does not know.
    """
    out: list[str] = []
    _write(value, out)
    return "".join(out)


def digest(value: object) -> str:
    """SHA-256 of the canonical form, as 64 lower-case hexadecimal characters."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _write(value: object, out: list[str]) -> None:
    if value is None:
        out.append("null")
    elif isinstance(value, bool):
        out.append("true" if value else "false")
    elif isinstance(value, str):
        out.append(_string(value))
    elif isinstance(value, int):
        out.append(_integer(value))
    elif isinstance(value, float):
        out.append(number(value))
    elif isinstance(value, Mapping):
        _object(value, out)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        _array(value, out)
    else:
        msg = f"{type(value).__name__} has no canonical form: {_KNOWN}"
        raise ValueError(msg)


def _integer(value: int) -> str:
    if abs(value) <= _MAX_SAFE:
        return str(int(value))
    # JSON numbers are doubles: larger integers are written if they are one, or the digits of one
    try:
        double = float(value)
    except OverflowError:
        double = math.inf
    if math.isfinite(double) and (int(double) == value or number(double) == str(value)):
        return number(double)
    msg = f"the integer {value} is no double and has no canonical form (RFC 8785, 3.2.2.3)"
    raise ValueError(msg)


def _string(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        msg = "a string with a lone surrogate has no canonical form (RFC 8785, 3.2.2.2)"
        raise ValueError(msg) from error
    return json.dumps(value, ensure_ascii=False)


def _object(value: Mapping[object, object], out: list[str]) -> None:
    names: list[str] = []
    for name in value:
        if not isinstance(name, str):
            msg = f"an object member named by {type(name).__name__} has no canonical form: {_KNOWN}"
            raise ValueError(msg)  # noqa: TRY004  # one error type for all that cannot be written
        names.append(name)
    names.sort(key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    out.append("{")
    for position, name in enumerate(names):
        out.append("," if position else "")
        out.append(_string(name))
        out.append(":")
        _write(value[name], out)
    out.append("}")


def _array(value: Sequence[object], out: list[str]) -> None:
    out.append("[")
    for position, item in enumerate(value):
        out.append("," if position else "")
        _write(item, out)
    out.append("]")


def number(value: float) -> str:
    """``value`` as ECMAScript's Number::toString writes it (ECMA-262, 6.1.6.1.20).

    Raises:
        ValueError: for NaN and infinities.
    """
    if not math.isfinite(value):
        msg = f"{value} has no canonical form: JSON knows finite numbers only (RFC 8785, 3.2.2.3)"
        raise ValueError(msg)
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    # value = 0.DIGITS × 10**point, with no leading and no trailing zero in DIGITS
    point = int(exponent or 0) + (len(whole) if whole != "0" else len(digits) - len(fraction))
    digits = digits.rstrip("0")
    return sign + _place(digits, point)


def _place(digits: str, point: int) -> str:
    """Write 0.``digits`` × 10**``point`` with ECMAScript's choice between plain and exponent form."""
    count = len(digits)
    if count <= point <= _PLAIN_EXPONENT:
        return digits + "0" * (point - count)
    if 0 < point <= _PLAIN_EXPONENT:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:  # ECMA-262: six zeros at most
        return "0." + "0" * -point + digits
    exponent = point - 1
    head = digits if count == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{head}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
