"""A Langfuse server as a source of ``inchworm import``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from inchworm.app import names
from inchworm.app.cli.output import note
from inchworm.app.cli.progress import Bar
from inchworm.domain.errors import UsageError

if TYPE_CHECKING:
    from inchworm.app.house import House
    from inchworm.app.loop.intake import Drain
    from inchworm.app.loop.taking import Refusals, Sums


def take(
    house: House,
    drain: Drain,
    url: str,
    said: dict[str, str | None],
    *,
    anew: bool,
    quiet: bool,
    refusals: Refusals | None,
) -> dict[str, Any]:
    """A server read in: what became of its records.

    Args:
        house: where it goes.
        drain: of that house.
        url: the server's address.
        said: the options ``since``, ``until``, ``public_key`` and ``secret_key``.
        anew: begin at the beginning.
        quiet: show no progress.
        refusals: told of what is not stored.

    Raises:
        UsageError: if there is no key where one is said to be.
    """
    from inchworm.app.langfuse import importing
    from inchworm.app.langfuse.server import Langfuse, address

    address(url)

    def busy(seconds: float, why: str) -> None:
        if not quiet:
            note(f"{url}: {why}; asked again in {seconds:.0f} s")

    server = Langfuse(
        url=url,
        public_key=_key(said["public_key"], "--public-key"),
        secret_key=_key(said["secret_key"], "--secret-key"),
        wait=time.sleep,
        now=time.time,
        busy=busy,
    )
    now = house.now()
    since, until = (None if one is None else names.moment(one, now) for one in (said["since"], said["until"]))
    with Bar(urlsplit(url).hostname or url, silent=quiet) as bar:

        def watch(sums: Sums) -> None:
            counts = sums.counts
            words = f"{counts['new']:,} interactions, {counts['scores']:,} scores new"
            bar(counts["lines"], "records", done=None, total=None, said=words)

        try:
            return importing.take(
                house,
                drain,
                server,
                since=since,
                until=until,
                anew=anew,
                watch=watch,
                refusals=refusals,
            )
        except KeyboardInterrupt:
            note("what was read is stored; the same command goes on from there")
            raise


def _key(reference: str | None, option: str) -> str:
    from inchworm.providers.secrets import ENVIRONMENT, FILE, Secrets

    if reference is None or not reference.startswith((ENVIRONMENT, FILE)):
        raise UsageError(
            f"{option} says where the key is, not what it is: others see what is typed",
            hint=f"{option} env:NAME, or {option} file:/PATH",
        )
    found = Secrets(os.environ)(reference)
    if found is None:
        raise UsageError(
            f"there is no key at {reference}", hint=f"set it, or say where it is: {option} env:NAME"
        )
    return found
