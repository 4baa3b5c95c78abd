"""Made-up requests of made-up applications: prompts are f-strings, and everything follows from a seed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from inchworm.capture.observed import Announcement, Lifted, Observer
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Ok
from inchworm.domain.trace import Trace

APP = AppRef(app="shop", environment="production")
START = 1_790_000_000.0
NAMES = "Ann Bo Carla Dmitri Eva Farid Gus Hana Ivo Jun".split()
SYSTEM = (
    "You are a support assistant for Fernhill. Today is {date}. You talk to {name}.\n"
    "Answer in {language}. Be concise and friendly. Never promise a refund.\n"
    "If the answer is not in the information, say that you do not know."
)
USER = "Question: {question}\nInformation:\n{documents}\nAnswer in one sentence."
_LEXICON = [
    "".join(random.Random(n).choices("abcdefghijklmnopqrstuvwxyz", k=2 + n % 8)) for n in range(3_000)
]
_WEIGHTS = list(itertools.accumulate(1 / (1 + rank) for rank in range(3_000)))

Make = Callable[[random.Random, int], Trace]
Edit = Callable[[str], str]


def words(dice: random.Random, count: int) -> str:
    """Words by a law of Zipf's kind, as in language: a few of them everywhere."""
    return " ".join(dice.choices(_LEXICON, cum_weights=_WEIGHTS, k=count))


def same(text: str) -> str:
    """No edit."""
    return text


def trace(number: int, system: str | None, user: str, *, unit: str | None = None, **said: Any) -> Trace:
    """One request a minute."""
    messages = [] if system is None else [{"role": "system", "content": system}]
    attributes = {"gen_ai.request.model": "small", "gen_ai.request.temperature": 0, **said}
    return Trace(
        id=TraceId(f"t-{number}"),
        app=APP,
        at=START + 60 * number,
        unit_id=UnitId(unit or f"s-{number}"),
        inputs={"messages": [*messages, {"role": "user", "content": user}]},
        output="It is so.",
        outcome=Ok(),
        attributes={name: value for name, value in attributes.items() if value is not None},
    )


def system(dice: random.Random, number: int, edit: Edit = same, *, english: float = 0.7) -> str:
    """The system prompt; a day has 1,000 requests."""
    return edit(SYSTEM).format(
        date=f"2026-11-{1 + number // 1_000:02d}",
        name=f"{dice.choice(NAMES)} {dice.choice(NAMES)}",
        language="English" if dice.random() < english else "German",
    )


def user(dice: random.Random, edit: Edit = same, *, least: int = 50, most: int = 400) -> str:
    """The user's message: a question and what was retrieved for it."""
    question, documents = words(dice, dice.randint(3, 20)), words(dice, dice.randint(least, most))
    return edit(USER).format(question=question, documents=documents)


def support(dice: random.Random, number: int) -> Trace:
    """The support assistant as it is."""
    return trace(number, system(dice, number), user(dice))


def edited(
    at: int, *, in_system: Edit = same, in_user: Edit = same, said: Mapping[str, Any] | None = None
) -> Make:
    """The support assistant, edited from a request on; ``said`` are its attributes then."""

    def make(dice: random.Random, number: int) -> Trace:
        if number < at:
            return support(dice, number)
        return trace(number, system(dice, number, in_system), user(dice, in_user), **(said or {}))

    return make


def traces(make: Make, count: int, *, seed: int = 1, first: int = 0) -> Iterator[Trace]:
    """So many requests."""
    dice = random.Random(f"{seed}/{first}")
    for number in range(first, first + count):
        yield make(dice, number)


def lifted(observer: Observer, call: str = "") -> Lifted:
    """What answers a call, which must be known."""
    found = observer.lift(call)
    assert found is not None
    return found


def watch(
    make: Make, count: int, *, seed: int = 1, batch: int = 20, observer: Observer | None = None
) -> tuple[Observer, list[Announcement]]:
    """Let an observer see them, batch by batch; what it announced."""
    watching = Observer() if observer is None else observer
    announced: list[Announcement] = []
    waiting: list[Trace] = []
    for one in traces(make, count, seed=seed):
        waiting.append(one)
        if len(waiting) == batch:
            announced += watching.take(waiting).announcements
            waiting = []
    announced += watching.take(waiting).announcements
    return watching, announced


def happened(announced: Sequence[Announcement]) -> list[str]:
    """What was announced, after the first sight."""
    assert not announced or announced[0].happened.value == "first"
    return [one.happened.value for one in announced[1:]]
