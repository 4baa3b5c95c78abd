"""What routes take: the house in the name of whoever asks, and where a page of a listing begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request
from fastapi.security import HTTPAuthorizationCredentials

from inchworm.app.api.auth import BEARER, Need, state_of
from inchworm.app.house import House
from inchworm.domain.access import Scope
from inchworm.domain.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HouseFor:
    """The dependency that opens the house to whoever has a scope, in their name.

    Attributes:
        scope: the least that is needed.
    """

    scope: Scope

    async def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)] = None,
    ) -> House:
        """The house.

        Raises:
            RefusedError: as :class:`Need`.
        """
        principal = await Need(self.scope)(request, credentials)
        return state_of(request).house.acting(principal.name)


ToView = Annotated[House, Depends(HouseFor(Scope.VIEWER))]
ToLabel = Annotated[House, Depends(HouseFor(Scope.LABELER))]
ToDeploy = Annotated[House, Depends(HouseFor(Scope.DEPLOYER))]
ToAdminister = Annotated[House, Depends(HouseFor(Scope.ADMIN))]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
After = Annotated[str | None, Query(description="`after` of the page before.")]


def changed(request: Request) -> None:
    """Something changed: pages look again, and the control loop does."""
    state = state_of(request)
    state.pulse.beat()
    state.wake()


def paged(
    items: Sequence[T], key: Callable[[T], str], after: str | None, limit: int
) -> tuple[Sequence[T], str | None]:
    """A page of a listing that fits into memory, and the key to go on after, if there is more.

    Raises:
        InputError: if ``after`` is no key of it.
    """
    start = 0
    if after is not None:
        keys = [key(one) for one in items]
        if after not in keys:
            raise InputError("this is no place in the listing", hint="start at the first page")
        start = keys.index(after) + 1
    page = items[start : start + limit]
    return page, key(page[-1]) if start + limit < len(items) else None


def version(data: dict[str, Any]) -> dict[str, Any]:
    """An answer as ``--json`` prints it: with the version of its form."""
    return {"version": 1, **data}
