"""What holds a change up besides its evidence, as ``inchworm.yaml`` writes it: freezes, approvals, losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field

from inchworm.app.config.layers import Keys
from inchworm.app.config.problems import KeyPath
from inchworm.app.config.scalars import MAPPING, TEXT, Duration, Share, Text, either
from inchworm.domain.errors import InputError
from inchworm.domain.rollout import Approvals, LossBudget, Stage
from inchworm.domain.wording import share
from inchworm.rollout.calendar import Window, parse, recurring

Wrong = Callable[[KeyPath, str, str | None], None]
"""Tells what is wrong at a path, and what to do about it."""


class FreezeEntry(Keys):
    """A freeze that begins at some time, and may come again by a rule."""

    start: Text = Field(
        alias="from", description="When it begins the first time: 2026-11-27, or 2026-11-27T16:00."
    )
    length: Text = Field(alias="for", description="How long it is: 62h, 2d or 1w.")
    rule: Text | None = Field(
        default=None,
        description="When it comes again: an RRULE of RFC 5545, e.g. FREQ=MONTHLY;BYDAY=-1FR.",
    )
    zone: Text = Field(default="UTC", description="Whose clocks, e.g. Europe/Berlin.")
    reason: Text | None = Field(default=None, description="Why, for those who have to wait.")


FreezeText = Annotated[
    Annotated[Text, TEXT] | Annotated[FreezeEntry, MAPPING],
    either("a time such as Fri 16:00 – Mon 08:00 Europe/Berlin, or a mapping with from and for"),
]


class ApprovalsEntry(Keys):
    """Who must agree before a rollout goes on. The word of whoever applied it does not count."""

    count: int = Field(default=1, ge=1, le=20, description="How many different people.")
    by: list[Text] = Field(
        default=[],
        max_length=100,
        description="Who may agree, by name; everybody that may deploy if left out.",
    )
    before: list[Text] = Field(
        default=["start"],
        min_length=1,
        description="Before what: start (before anybody is exposed), a stage by its share such as 50%, soak.",
    )


class LossBudgetEntry(Keys):
    """What several changes may lose together."""

    margin: Share = Field(description="Loss that is acceptable against the anchor, in points of each metric.")
    per: Duration = Field(description="The anchor is what was stable this long ago, e.g. 90d.")


def windows(said: Sequence[str | FreezeEntry], wrong: Wrong) -> tuple[Window, ...]:
    """The app's calendar of freezes."""
    found: list[Window] = []
    for place, one in enumerate(said):
        try:
            found.append(_window(one))
        except InputError as error:
            wrong(("rollout", "freeze", place), f"is wrong: {error.message}", error.hint)
    return tuple(found)


def _window(said: str | FreezeEntry) -> Window:
    if isinstance(said, str):
        return parse(said)
    return recurring(
        start=said.start,
        length=said.length,
        rule=said.rule or "",
        zone=said.zone,
        reason=said.reason or "",
    )


def approvals(said: ApprovalsEntry | None, ladder: Sequence[Stage], wrong: Wrong) -> Approvals | None:
    """Who must agree, and before which stages."""
    if said is None:
        return None
    names = {"start": 0, "soak": len(ladder)} | {
        share(stage.weight).replace(" ", ""): place for place, stage in enumerate(ladder)
    }
    before: list[int] = []
    for place, name in enumerate(said.before):
        stage = names.get(name.replace(" ", "").lower())
        if stage is None:
            known = ", ".join(names)
            wrong(("rollout", "approvals", "before", place), f'is "{name}", none of {known}', None)
        else:
            before.append(stage)
    by = tuple(dict.fromkeys(said.by))
    if by and len(by) < said.count:
        what = f"is {said.count}, and only {len(by)} may agree"
        wrong(("rollout", "approvals", "count"), what, None)
    return Approvals(count=said.count, by=by, before=tuple(sorted(set(before))))


def loss_budget(said: LossBudgetEntry | None, wrong: Wrong) -> LossBudget | None:
    """What may be lost against the anchor."""
    if said is None:
        return None
    for key, value in (("margin", said.margin), ("per", said.per)):
        if value <= 0:
            wrong(("rollout", "loss_budget", key), "must be more than nothing", None)
    return LossBudget(margin=said.margin, per_s=said.per)
