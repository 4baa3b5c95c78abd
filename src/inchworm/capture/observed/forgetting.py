"""What was learned from traffic, without what only somebody said who is forgotten. Pure.

The state holds forms of prompts, and a form that was seen once is somebody's text as a whole. Such a form
keeps its id, so that what refers to it stays whole, and loses its words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

from inchworm.capture.observed.mining import Skeleton

_WORD: Final = re.compile(r"\w[\w.@+-]{2,}\w")
GONE: Final = "FORGOTTEN_1"
"""What stands for a word: like a stand-in of the sanitizer, so that it counts as variable."""


def words(text: str) -> Iterator[str]:
    """The words of a text that could tell of somebody: of four characters or more."""
    return (found.group() for found in _WORD.finditer(text))


def without(
    state: bytes,
    *,
    units: Collection[str],
    said: Sequence[tuple[str, str]],
    is_common: Callable[[Sequence[str]], Collection[str]],
) -> bytes:
    """The state (``observed/1``) without somebody; other formats are returned as they are.

    Args:
        state: as :meth:`Observer.state` wrote it.
        units: whose; their ids as they are stored.
        said: unit and text of everything that was said in their interactions.
        is_common: those of some words that others said too, or the application did.
    """
    content = json.loads(state)
    if content.get("format") != "observed/1":
        return state
    calls = [call for _, call in content["calls"]]
    skeletons = [
        one
        for call in calls
        for miner in (call["system"], *(miner for _, miner in call["users"]))
        for one in miner["known"]
    ]
    for one in skeletons:
        _forget_unit(one, units, said)
    texts = [[one["pieces"], one["margins"]] for one in skeletons]
    values = [[call["varying"]["lately"], call["tools"]] for call in calls]
    written = json.dumps([texts, values], ensure_ascii=False)
    theirs = {word for _, text in said for word in words(text)} | set(units)
    asked = sorted(word for word in theirs if word in written)
    common = set(is_common(asked))
    gone = sorted((word for word in asked if word not in common), key=len, reverse=True)
    if gone:
        pattern = re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in gone))
        for one in skeletons:
            one["pieces"] = [
                piece if isinstance(piece, dict) else _replaced(piece, pattern) for piece in one["pieces"]
            ]
            one["margins"] = _replaced(one["margins"], pattern)
        for call in calls:
            call["tools"] = {name: _replaced(schemas, pattern) for name, schemas in call["tools"].items()}
            lately = call["varying"]["lately"]
            for name, seen in lately.items():
                lately[name] = {pattern.sub(GONE, text): number for text, number in seen.items()}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _forget_unit(skeleton: dict[str, Any], units: Collection[str], said: Sequence[tuple[str, str]]) -> None:
    template = Skeleton.of(skeleton).template
    skeleton["lately"] = [unit for unit in skeleton["lately"] if unit not in units]
    whose = {unit for unit, text in said if template.match(text) is not None}
    if whose and skeleton["units"] <= len(whose):
        # Nothing that anybody writes fits it from now on.
        skeleton["pieces"] = [f"forgotten {skeleton['id']}"]
        skeleton["margins"] = []
        skeleton["edges"] = []


def _replaced(value: Any, pattern: re.Pattern[str]) -> Any:
    match value:
        case str():
            return pattern.sub(GONE, value)
        case list():
            return [_replaced(one, pattern) for one in value]
        case dict():
            # What members are called is how the state, or a tool, is made, and no words of anybody.
            return {key: _replaced(one, pattern) for key, one in value.items()}
        case _:
            return value
