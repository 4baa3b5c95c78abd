"""Words and numbers of the views, in the house's spelling (``inchworm.domain.wording``)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from inchworm.app import differences
from inchworm.app.texts import DAYS, one_line
from inchworm.app.web.formats import moment
from inchworm.domain import wording
from inchworm.domain.change import ValueDiff
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Metric

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_HUGE = math.log(1e6)
_TINY = math.log(1e-3)
_LONG = 60
_SOON_S = 6 * 86_400.0


class Told(StrEnum):
    """Whether an estimate can be told from zero; also the class of its marks."""

    NULL = ""
    """The confidence sequence contains zero: grey."""
    CANDIDATE = "c"
    """It does not: saturated."""
    HARM = "h"
    """Evidence of harm passed its line: crimson, with a square and a word."""


def sentence(text: str) -> str:
    """Somebody's words as a sentence: on one line, with a capital and a full stop."""
    line = one_line(text.replace("`", ""))
    first = line.partition(" ")[0]
    if not any(char.isdigit() for char in first):  # an id stays what it is
        line = line[:1].upper() + line[1:]
    return sentence_end(line)


def sentence_end(text: str) -> str:
    """The text with a full stop, unless it has an end already."""
    return text if not text or text[-1] in ".!?" else f"{text}."


def evalue(log_e: float) -> str:
    """``e = 0.07``, ``e > 10⁶``, ``e < 0.001``."""
    if log_e > _HUGE:
        return "e > 10⁶"
    if log_e < _TINY:
        return "e < 0.001"
    return f"e = {wording.evidence(log_e)}"


def bounds(low: float, high: float) -> str:
    """Both ends of an interval of a difference, in points."""
    return wording.bounds(low, high)


def shares(low: float, high: float) -> str:
    """Both ends of an interval of a share: ``(4.4 … 5.6)``."""
    return f"({low * 100:.1f} … {high * 100:.1f})"


def moved(layer: Layer, diffs: Sequence[ValueDiff]) -> str:
    """What a step changes, after the name of its layer: ``old → new``, ``documents 1 → 3``."""
    if not diffs:
        return "nothing left to change"
    if len(diffs) == 1 and isinstance(diffs[0].old, str) and isinstance(diffs[0].new, str):
        said = f"{'.'.join(diffs[0].path)} {reworded(diffs[0])}"
    else:
        said = differences.said(diffs)
    return said.removeprefix("name ") if layer is Layer.MODEL else said


def reworded(one: ValueDiff) -> str:
    """A change of text in a few words: of a long line only what differs, with ``…`` for what stays."""
    whole = differences.change(one)
    if "\n" in one.old or "\n" in one.new or (" → " in whole and len(whole) <= _LONG):
        return whole
    old, new = one.old.split(), one.new.split()
    head = next(
        (n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    ends = zip(reversed(old[head:]), reversed(new[head:]), strict=False)
    tail = next((n for n, (a, b) in enumerate(ends) if a != b), min(len(old), len(new)) - head)
    sides = [
        f"{'… ' if head else ''}{' '.join(words[head : len(words) - tail])}{' …' if tail else ''}"
        for words in (old, new)
    ]
    return " → ".join(one_line(side, _LONG) for side in sides)


def what(metric: Metric) -> str:
    """What its numbers mean, if that is not plain: ``Share within 4.2 s: ``."""
    match metric.source:
        case {"builtin": "latency_p95", "threshold_ms": int() | float() as limit}:
            return f"Share within {limit / 1000:.1f} s: "
        case {"builtin": "cost", "cap_usd": int() | float() as cap}:
            return f"Share left of {wording.usd(cap)} a call: "
        case {"judge": _}:
            return "The judge’s score: "
        case _:
            return ""


def at(moment_s: float, now: float) -> str:
    """A moment as the pages write it."""
    return moment(moment_s, now)


def coming(moment_s: float, now: float) -> str:
    """A moment to come: ``16:00`` today, ``Mon 08:00`` within six days, else ``3 Dec 08:00``."""
    then, today = time.localtime(moment_s), time.localtime(now)
    clock = f"{then.tm_hour:02}:{then.tm_min:02}"
    if then[:3] == today[:3]:
        return clock
    if 0 <= moment_s - now < _SOON_S:
        return f"{DAYS[then.tm_wday]} {clock}"
    return moment(moment_s, now)


def content(view: DataclassInstance) -> dict[str, Any]:
    """The JSON form of a view: the twin of a page."""
    return {"version": 1, **asdict(view)}
