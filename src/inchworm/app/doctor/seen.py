"""What is observed, before anything is said of it. Times are seconds since the epoch, sizes bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Inchworm itself.

    Attributes:
        version: of Inchworm.
        python: of Python, as text.
        system: ``Linux``, ``Darwin``, …
        unfetched: files of the pages that the build should have fetched and did not.
    """

    version: str
    python: str
    system: str
    unfetched: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """``inchworm.yaml``.

    Attributes:
        file: where it is, or would be.
        there: whether it is.
        app: what it declares, or what is assumed without it; ``None`` if it is wrong.
        error: what is wrong with it.
        hint: what to do about that.
    """

    file: str
    there: bool
    app: str | None
    error: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The data directory.

    Attributes:
        path: where it is, or would be.
        there: whether it is.
        writable: whether this user may write there.
        mode: its permissions.
        free: room on its disk.
        sizes: of what is in it, by name; what is not there is left out.
    """

    path: str
    there: bool
    writable: bool = False
    mode: int = 0
    free: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """The installation's key.

    Attributes:
        path: of its file.
        given: whether the environment has one; ``None`` if it has something that is none.
        size: of the file; ``None`` if there is none.
        mode: permissions of the file.
        needed: whether there are data that it belongs to.
    """

    path: str
    given: bool | None
    size: int | None
    mode: int
    needed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A database file.

    Attributes:
        path: where it is.
        revision: what it says of its form; ``None`` if there is no file.
        known: revisions that this version knows, oldest first.
        error: why it cannot be read.
        held: whether that is because another process has it.
    """

    path: str
    revision: str | None
    known: tuple[str, ...]
    error: str | None = None
    held: bool = False

    @property
    def usable(self) -> bool:
        """Whether it is there, and in the form that this version writes."""
        return self.error is None and self.revision == self.known[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server, as its data directory shows it.

    Attributes:
        url: what ``serve.json`` says; ``None`` if there is none.
        pid: the process that it names.
        runs: whether that process runs and holds the data directory.
        answers: whether it answers.
        offset_s: how far its clock is ahead of this one; ``None`` if it does not say.
    """

    url: str | None
    pid: int | None
    runs: bool
    answers: bool = False
    offset_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A gateway, as the server knows it.

    Attributes:
        name: its name.
        url: where it listens.
        own: whether it is the one that ``inchworm serve`` started.
        asked_at: when it last asked what to serve; ``None`` if it never did.
        current: whether it holds what is published.
        answers: whether it answers the server; ``None`` if it was not asked.
        offset_s: how far its clock is ahead of the server's; ``None`` if that is not known.
    """

    name: str
    url: str
    own: bool
    asked_at: float | None
    current: bool
    answers: bool | None
    offset_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port that ``inchworm serve`` would use.

    Attributes:
        number: which.
        option: the option that names another one.
        taken: whether somebody listens there.
    """

    number: int
    option: str
    taken: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where calls are forwarded to.

    Attributes:
        url: its base URL.
        error: why no connection could be made; ``None`` if one was, or none was tried.
        tried: whether one was.
        reference: the environment variable or the file that its key is in, if one is named.
        given: whether a key is there.
        shared: whether that is a file that others than its owner may read.
    """

    url: str
    error: str | None
    tried: bool = True
    reference: str | None = None
    given: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What lies in quarantine for one reason.

    Attributes:
        reason: why; nothing of the content.
        records: how many records, or segments where that is not known.
        since: when the first was put there.
    """

    reason: str
    records: int
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spool:
    """What waits to be drained, and what could not be.

    Attributes:
        segments: closed ones.
        bytes: of all that waits.
        oldest_at: when the oldest was begun; ``None`` if there is none.
        refused: what lies in quarantine, the most frequent reason first.
        folder: the quarantine.
    """

    segments: int
    bytes: int
    oldest_at: float | None
    refused: tuple[Refused, ...]
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Stored interactions; shares are of the latest ``sampled`` ones.

    Attributes:
        stored: all of them.
        last_at: when the last one started.
        sampled: how many were looked at.
        without_content: of these, those that do not say what was asked.
        failed: those on which the configuration failed.
        errored: those on which the harness failed.
        derived: those whose unit nobody stated.
        by_request: whether each request is a unit of its own by declaration.
        assigned: those that were part of the rollout in flight.
        unapplied: of these, those with a layer that could not be applied, by layer.
        unscored: declared metrics without a single score in the last seven days.
        recent: interactions of these seven days.
    """

    stored: int
    last_at: float | None
    sampled: int = 0
    without_content: int = 0
    failed: int = 0
    errored: int = 0
    derived: int = 0
    by_request: bool = False
    assigned: int = 0
    unapplied: Mapping[str, int] = field(default_factory=dict)
    unscored: tuple[str, ...] = ()
    recent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A rollout that waits for a person.

    Attributes:
        id: which.
        state: ``holding`` or ``paused``.
        because: its sentence.
        since: since when.
    """

    id: str
    state: str
    because: str
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollouts:
    """Where changes stand.

    Attributes:
        stable: whether something is stable.
        waiting: rollouts that wait for a person.
        unlike: how what is served differs from what is recorded, as sentences.
        failed: work that failed for good: id and why.
    """

    stable: bool
    waiting: tuple[Waiting, ...]
    unlike: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key to the API that was not revoked.

    Attributes:
        id: its id.
        name: whose it is.
        expires_at: when it ends; ``None`` for never.
        used_at: when it was used last.
    """

    id: str
    name: str
    expires_at: float | None
    used_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The audit trail.

    Attributes:
        entries: how many there are.
        breaks: what is broken, as sentences; empty if it is whole.
    """

    entries: int
    breaks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """Who is told of decisions, and whether they were.

    Attributes:
        targets: how many there are.
        wrong: what keeps a target from being told, as sentences.
        failed: notifications that were given up.
        late: notifications that have waited for longer than an hour.
    """

    targets: int
    wrong: tuple[str, ...]
    failed: int
    late: int
