"""What changed, as a sentence: which layers moved, and from what to what."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from inchworm.capture.observed.watch import Happened
from inchworm.domain.change import Absent, ValueDiff, diff
from inchworm.domain.configuration import Configuration
from inchworm.domain.wording import counted, listed

_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_VARIABLE = re.compile(r"(?<!\{)\{[A-Za-z_]\w*\}(?!\})")
_FEW = 4
_LONG = 40
_MOST = 4


def sentence(happened: Happened, call: str, base: Configuration | None, now: Configuration) -> str:
    """One sentence for the ledger.

    Args:
        happened: what was announced.
        call: the call's name; empty if there is but one.
        base: what answered before, as far as it is known now.
        now: what answers.
    """
    where = f"{call}: " if call else ""
    if base is None or happened is Happened.FIRST:
        return f"{where}first seen: {_described(now)}."
    moved = listed([str(layer) for layer in base.moved(now)]) if base != now else "nothing that is shown"
    told = _told(diff(base, now))
    more = f": {told}" if told else ""
    match happened:
        case Happened.CHANGED:
            return f"{where}{moved} changed{more}."
        case Happened.RETURNED:
            return f"{where}{moved} returned to what answered before{more}."
        case Happened.APPEARED:
            verb = "differs" if len(base.moved(now)) == 1 else "differ"
            return f"{where}a second configuration appeared beside the first, {moved} {verb}{more}."
        case Happened.ALONE:
            return f"{where}{moved} changed for good, the configuration before is gone{more}."


def _described(now: Configuration) -> str:
    """Model, parameters and prompts, shortly."""
    said = now.content()["layers"]
    parts = [said["model"].get("name", "a model that is not named")]
    parts += [f"{name} {_short(value)}" for name, value in said["parameters"].items()][:_MOST]
    if "system" in said["prompt"]:
        parts.append(f"a system prompt of {counted(len(said['prompt']['system'].split()), 'word')}")
    if tools := said["tools"].get("schemas"):
        parts.append(counted(len(tools), "tool"))
    return ", ".join(parts)


def _told(diffs: Sequence[ValueDiff]) -> str:
    parts = [_change(one) for one in diffs[:_MOST]]
    more = f" and {len(diffs) - _MOST:,} more" if len(diffs) > _MOST else ""
    return "; ".join(parts) + more


def _change(one: ValueDiff) -> str:
    name = " ".join(one.path)
    if str(one.layer) == "prompt":
        return f"{name} prompt {_edit(_text(one.old), _text(one.new))}"
    if str(one.layer) == "tools":
        return _tools(one.old, one.new)
    return f"{'model' if str(one.layer) == 'model' else name} {_short(one.old)} → {_short(one.new)}"


def _edit(old: str, new: str) -> str:
    """How many sentences came and went; the words too where they are few."""
    # what a variable is called follows from the words before it, and is no edit of its own
    before, after = (_sentences(_VARIABLE.sub("{}", text)) for text in (old, new))
    plus, minus = _moved(before, after)
    came, went = [one for one in after if one not in before], [one for one in before if one not in after]
    noun = "sentence" if len(plus) + len(minus) == 1 else "sentences"
    parts = [*([f"+{len(plus):,}"] if plus else []), *([f"−{len(minus):,}"] if minus else [])]
    said = f"{' '.join(parts) or '±0'} {noun}"
    if len(came) == len(went) == 1:
        fresh, stale = _moved(went[0].split(), came[0].split())
        if 0 < len(fresh) <= _FEW and 0 < len(stale) <= _FEW:
            said += f' ("{_short(" ".join(stale))}" → "{_short(" ".join(fresh))}")'
    return said


def _sentences(text: str) -> list[str]:
    return _SENTENCE.split(text.strip()) if text.strip() else []


def _moved(before: Sequence[str], after: Sequence[str]) -> tuple[list[str], list[str]]:
    """What came and what went."""
    came: list[str] = []
    went: list[str] = []
    for tag, start, end, from_, to in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            went += before[start:end]
            came += after[from_:to]
    return came, went


def _tools(old: Any, new: Any) -> str:
    before, after = _names(old), _names(new)
    came = [f"+{name}" for name in after if name not in before]
    went = [f"−{name}" for name in before if name not in after]
    if came or went:
        return f"tools {' '.join([*came, *went][:_MOST])}"
    return f"{counted(len(after), 'tool')}, a schema differs"


def _names(schemas: Any) -> list[str]:
    if not isinstance(schemas, list):
        return []
    inner = [one.get("function", one) if isinstance(one, dict) else {} for one in schemas]
    return [str(one.get("name", "?")) if isinstance(one, dict) else "?" for one in inner]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _short(value: Any) -> str:
    if isinstance(value, Absent):
        return "not said"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
