"""What the control store hands out beside domain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from inchworm.domain.access import Scope
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import EvalSetId


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConfiguration:
    """A configuration, and how it came to be kept.

    Attributes:
        configuration: the six layers.
        note: why it was kept, in a sentence.
        at: when it was first kept, seconds since the epoch.
    """

    configuration: Configuration
    note: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalSetSummary:
    """A version of an eval set without its cases.

    Attributes:
        name: as the user calls it.
        version: from 1.
        cases: how many.
        population: what it stands for.
        at: when it was kept, seconds since the epoch.
    """

    name: str
    version: int
    cases: int
    population: str
    at: float

    @property
    def id(self) -> EvalSetId:
        """``NAME@VERSION``."""
        return EvalSetId(f"{self.name}@{self.version}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRecord:
    """A file that was read in.

    Attributes:
        app: for which app.
        digest: SHA-256 of the file, 64 hexadecimal characters.
        file: its name, as the user gave it.
        counts: how many records had which fate, e.g. ``{"new": 4000, "duplicate": 12}``.
        at: when, seconds since the epoch.
    """

    app: AppRef
    digest: str
    file: str
    counts: dict[str, int] = field(default_factory=dict)
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """A row as it was when an audit entry named it.

    Attributes:
        table: where it is.
        key: which row, as text.
        digest: SHA-256 of its values, 64 hexadecimal characters; ``None`` if it was removed on purpose.
    """

    table: str
    key: str
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what to which thing. The audit table is append-only, and its entries are a chain of hashes.

    Attributes:
        app: where.
        at: when, seconds since the epoch.
        actor: ``inchworm`` or a person.
        action: what was done, e.g. ``rollout.start``.
        subject: the id of what it was done to.
        because: why, in a sentence.
        number: its place in the chain, from 1; ``None`` before it is kept.
        pinned: the rows that it wrote, so that a change of them is found.
        hash: of it and of every entry before it (:mod:`inchworm.store.control.chain`); ``None`` before it
            is kept.
    """

    app: AppRef
    at: float
    actor: str
    action: str
    subject: str
    because: str
    number: int | None = None
    pinned: tuple[Pinned, ...] = ()
    hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which audit entries are asked for; what is ``None`` is not asked about.

    Attributes:
        actor: whose.
        action: of this kind: ``rollout`` or ``rollout.start``.
        subject: about this id.
        since: at this moment or later, seconds since the epoch.
    """

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditHead:
    """The end of the chain. Kept elsewhere, it shows later that nothing before it was removed.

    Attributes:
        number: of the last entry; 0 if there is none.
        hash: of the last entry; 64 zeros if there is none.
    """

    number: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditBreak:
    """Where the trail is not what was written.

    Attributes:
        number: the entry that is broken, or whose row is; ``None`` if no entry can be named.
        because: what is wrong, in a sentence.
    """

    number: int | None
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCheck:
    """What came of walking the chain.

    Attributes:
        entries: how many there are.
        head: the end of the chain.
        breaks: what is broken, the first entry first; empty if the trail is whole. At most
            :data:`inchworm.store.control.chain.MOST`.
    """

    entries: int
    head: AuditHead
    breaks: tuple[AuditBreak, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key to the API, without its secret.

    Attributes:
        id: the part of the key that is no secret.
        digest: SHA-256 of the secret, 64 hexadecimal characters. The secret is random and long, so it takes
            no salt and no slow hash.
        name: whose it is, or what it is for; acts are told under this name.
        scope: what it may do.
        created_at: seconds since the epoch.
        created_by: who made it.
        expires_at: when it ends by itself; ``None`` if never.
        used_at: when it was used last, to the hour; ``None`` before the first time.
        revoked_at: when somebody ended it; ``None`` if nobody did.
        app: the only app that it sends for; ``None`` if a request says which.
    """

    id: str
    digest: str
    name: str
    scope: Scope
    created_at: float
    created_by: str
    expires_at: float | None = None
    used_at: float | None = None
    revoked_at: float | None = None
    app: AppRef | None = None

    def valid(self, now: float) -> bool:
        """Whether it opens anything at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
