"""Our own feedback route: ``POST /api/v1/scores``, the same as the server's, but for the spool."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from inchworm.capture.records import Graded
from inchworm.domain.errors import InputError
from inchworm.gateway.faults import Fault, FaultError, unusable, wrong_type
from inchworm.gateway.ingest.asked import JSON, Asked, Said, decoded
from inchworm.gateway.ingest.grades import OurScore, ours
from inchworm.gateway.ingest.keeping import Keeper
from inchworm.gateway.metrics import Metrics

NAME = "scores"
_MOST = 1_000


class _Several(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    scores: list[OurScore]


_one = msgspec.json.Decoder(OurScore)
_several = msgspec.json.Decoder(_Several)
_list = msgspec.json.Decoder(list[OurScore])
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Takes scores in.

    Attributes:
        keeper: makes them durable.
        metrics: counts them.
    """

    keeper: Keeper
    metrics: Metrics

    async def take(self, asked: Asked) -> Said:
        """Take one score, a list of them, or ``{"scores": [...]}``; all or none.

        Raises:
            FaultError: if one cannot be used, or they cannot be kept now.
        """
        if asked.kind != JSON:
            raise FaultError(wrong_type(asked.headers.get("content-type", ""), JSON))
        body = await asked.body()
        app = str(asked.app.app)
        records = await asked.work(body, lambda whole: _read(whole, app, asked.at))
        await self.keeper.keep(records)
        self.metrics.graded.add(NAME, by=len(records))
        return Said.json({"version": 1, "accepted": len(records)}, 202)


def _read(body: bytes, app: str, at: float) -> list[Graded]:
    if body.lstrip()[:1] == b"[":
        said = decoded(_list, body)
    elif "scores" in decoded(_members, body):
        said = decoded(_several, body).scores
    else:
        said = [decoded(_one, body)]
    if len(said) > _MOST:
        raise FaultError(unusable(f"{len(said)} scores are sent, and {_MOST} are taken at once."))
    records: list[Graded] = []
    for place, one in enumerate(said, start=1):
        try:
            records.append(ours(one, app, at))
        except InputError as error:
            raise FaultError(unusable(f"Score {place}: {error.message}.")) from error
    return records


def refusal(fault: Fault, kind: str) -> Said:
    """A fault as the gateway's own routes say it."""
    del kind
    return Said(status=fault.status, body=fault.body(), headers=fault.headers)
