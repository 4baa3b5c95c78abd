"""How a trace is found among ten million without an index: two numbers that are made of its id, and scanned.

A primary key of texts made writing several times slower and took as much room as all other columns, and
DuckDB does not look things up by it. A scan of numbers is exact as well: what is found is compared with the
id itself.
"""

from __future__ import annotations

_BYTES = 16


def key(app: str, id_: str) -> str:
    """SQL: the number that an app and an id have together; two of them may have the same one."""
    return f"md5_number_lower({app} || chr(0) || {id_})"


def head(id_: str) -> str:
    """SQL: the first 8 bytes of an id as a number, so that ids that begin alike lie in one range."""
    return _head(id_, "0")


def heads(beginning: str) -> tuple[str, str]:
    """SQL: the least and the greatest :func:`head` of ids that begin so."""
    return _head(beginning, "0"), _head(beginning, "F")


def _head(text: str, rest: str) -> str:
    return f"('0x' || rpad(left(hex(encode({text})), {_BYTES}), {_BYTES}, '{rest}'))::UBIGINT"
