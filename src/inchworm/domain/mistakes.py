"""What a mistake in the code looks like when it meets a value that nobody thought of, and how to tell of it.

For the few places that must go on whatever a single record holds. Trouble of the machine (:class:`OSError`,
:class:`MemoryError`) is none of these: it passes, and the work is done again.
"""

from __future__ import annotations

MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,  # RecursionError among them
    TypeError,
    ValueError,  # what a UnicodeError and an ArrowInvalid are, too
)
"""Kinds of exceptions that one record's content can cause, and another's would not."""


def where(error: BaseException) -> str:
    """Kind, module and line of an exception; never its text, which may hold what somebody said."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = "unknown" if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
    return f"{type(error).__name__} at {place}"
