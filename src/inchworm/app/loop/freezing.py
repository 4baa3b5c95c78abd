"""The app's live calendar of freezes, as the rollout room asks for it."""

from __future__ import annotations

from inchworm.app.house import House
from inchworm.domain.configuration import AppRef
from inchworm.rollout import calendar
from inchworm.rollout.ports import Calendar


def freezes(house: House) -> Calendar:
    """The freezes that ``inchworm.yaml`` declares by now."""

    def frozen(app: AppRef, now: float) -> tuple[str, float] | None:
        return calendar.said(house.spec.freeze, now) if app == house.app else None

    return frozen
